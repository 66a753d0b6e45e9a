"""Chat completions and their chunks in OpenAI's form, with this server's own fields under `ascl`."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from ascl_core.serving.exchange import Outcome
from ascl_core.serving.splitting import Piece

_KEYS = {"content": "content", "thought": "reasoning_content"}


@dataclass(frozen=True)
class Answer:
    """What all parts of one answer have in common."""

    model: str
    corpus: str
    """The digest of the rules that the answer was generated with."""
    release: str | None
    """The release of both the checkpoint and these rules; None if one of them is not released."""
    jurisdiction: str
    with_thoughts: bool
    neutralised: int = 0
    """Control strings in the request's messages, which the model read as plain text."""
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """Return the whole completion."""
        message = {"role": "assistant", "content": outcome.content, "refusal": outcome.content if outcome.fallback else None}
        if self.with_thoughts:
            message["reasoning_content"] = outcome.thoughts
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(outcome)}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(outcome), "ascl": self._extension(outcome)}

    def start(self) -> dict[str, Any]:
        """Return the first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece) -> dict[str, Any] | None:
        """Return the chunk for a piece of text; None for a thought that was not requested."""
        shown = piece.kind == "content" or self.with_thoughts
        return self._chunk({_KEYS[piece.kind]: piece.text}) if shown else None

    def end(self, outcome: Outcome) -> dict[str, Any]:
        """Return the last chunk with a choice."""
        return {**self._chunk({}, _reason(outcome)), "usage": _usage(outcome), "ascl": self._extension(outcome)}

    def usage(self, outcome: Outcome) -> dict[str, Any]:
        """Return the chunk with only the usage."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(outcome)}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _extension(self, outcome: Outcome) -> dict[str, Any]:
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
    """Return the finish reason: `content_filter` if the fixed refusal replaces what the model wrote."""
    if outcome.fallback:
        return "content_filter"
    return "stop" if outcome.facts.finished else "length"


def _usage(outcome: Outcome) -> dict[str, int]:
    total = outcome.prompt_tokens + outcome.completion_tokens
    return {"prompt_tokens": outcome.prompt_tokens, "completion_tokens": outcome.completion_tokens, "total_tokens": total}
