"""Completions and chunks of them in OpenAI's form, with what only this server knows under `ascl`."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from ascl_core.serving.exchange import Outcome
from ascl_core.serving.splitting import Said

_KEYS = {"content": "content", "thought": "reasoning_content"}


@dataclass(frozen=True)
class Answer:
    """What all that is sent of one answer has in common."""

    model: str
    corpus: str
    """The digest of the rules that it was given with."""
    release: str | None
    """The release that both the checkpoint and these rules belong to; None where one of them is not released."""
    jurisdiction: str
    with_thoughts: bool
    neutralised: int = 0
    """Control strings in the messages of the request, which the model read as words."""
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """The answer in one piece."""
        message = {"role": "assistant", "content": outcome.content, "refusal": outcome.content if outcome.fallback else None}
        if self.with_thoughts:
            message["reasoning_content"] = outcome.thoughts
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(outcome)}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(outcome), "ascl": self._told(outcome)}

    def start(self) -> dict[str, Any]:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, said: Said) -> dict[str, Any] | None:
        """The chunk of something said; None for a thought that was not asked for."""
        shown = said.kind == "content" or self.with_thoughts
        return self._chunk({_KEYS[said.kind]: said.text}) if shown else None

    def end(self, outcome: Outcome) -> dict[str, Any]:
        """The last chunk that has a choice."""
        return {**self._chunk({}, _reason(outcome)), "usage": _usage(outcome), "ascl": self._told(outcome)}

    def usage(self, outcome: Outcome) -> dict[str, Any]:
        """The chunk for the usage alone."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(outcome)}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _told(self, outcome: Outcome) -> dict[str, Any]:
        facts = outcome.facts
        return {
            "release": self.release,
            "corpus": self.corpus,
            "jurisdiction": self.jurisdiction,
            "consulted": list(facts.consulted),
            "calls": [call.arguments for call in facts.calls],
            "valid": facts.valid,
            "fallback": outcome.fallback,
            "problem": facts.problem,
            "neutralised": self.neutralised,
        }


def _reason(outcome: Outcome) -> str:
    """`content_filter` where something else is sent than the model wrote."""
    if outcome.fallback:
        return "content_filter"
    return "stop" if outcome.facts.finished else "length"


def _usage(outcome: Outcome) -> dict[str, int]:
    total = outcome.prompt_tokens + outcome.completion_tokens
    return {"prompt_tokens": outcome.prompt_tokens, "completion_tokens": outcome.completion_tokens, "total_tokens": total}
