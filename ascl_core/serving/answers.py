"""Chat completions and their chunks in OpenAI's form, with this server's own fields under `ascl`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ascl_core.serving.exchange import Outcome, Score
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
    fingerprint: str | None = None
    """What an answer depends on beside the request: the checkpoint and the rules."""
    ignored: tuple[str, ...] = ()
    """What of the request was ignored although it might have had an effect."""
    with_usage: bool = False
    """Whether a stream ends with a chunk for the usage."""
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """Return the whole completion, with a choice for each outcome; several choices have this server's own fields each."""
        choices = [self._choice(number, outcome) for number, outcome in enumerate(outcomes)]
        return {**self.head("chat.completion"), **self.choices(choices, outcomes), "usage": usage(outcomes)}

    def choices(self, choices: Sequence[dict[str, Any]], outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """Return the choices and this server's own fields: those of the first choice, and if there are several, also with each of them."""
        extensions = [self.extension(outcome) for outcome in outcomes]
        if len(outcomes) > 1:
            choices = [{**choice, "ascl": extension} for choice, extension in zip(choices, extensions, strict=True)]
        return {"choices": list(choices), "ascl": extensions[0]}

    def start(self, number: int = 0) -> dict[str, Any]:
        """Return the first chunk of a choice."""
        return self._chunk(number, {"role": "assistant", "content": ""})

    def piece(self, piece: Piece, number: int = 0) -> dict[str, Any] | None:
        """Return the chunk for a piece of text; None for a thought that was not requested."""
        shown = piece.kind == "content" or self.with_thoughts
        return self._chunk(number, {_KEYS[piece.kind]: piece.text}) if shown else None

    def end(self, outcome: Outcome, number: int = 0) -> dict[str, Any]:
        """Return the last chunk of a choice."""
        return {**self._chunk(number, {}, reason(outcome), log_probs(outcome.scores)), "ascl": self.extension(outcome)}

    def usage(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """Return the chunk with only the usage."""
        return {**self.head("chat.completion.chunk"), "choices": [], "usage": usage(outcomes)}

    def _choice(self, number: int, outcome: Outcome) -> dict[str, Any]:
        message = {"role": "assistant", "content": outcome.content, "refusal": outcome.content if outcome.fallback else None}
        if self.with_thoughts:
            message["reasoning_content"] = outcome.thoughts
        return {"index": number, "message": message, "logprobs": log_probs(outcome.scores), "finish_reason": reason(outcome)}

    def _chunk(self, number: int, delta: dict[str, Any], reason: str | None = None, scores: Any = None) -> dict[str, Any]:
        choice = {"index": number, "delta": delta, "logprobs": scores, "finish_reason": reason}
        return {**self.head("chat.completion.chunk"), "choices": [choice], **({"usage": None} if self.with_usage else {})}

    def head(self, kind: str) -> dict[str, Any]:
        """Return what an answer of this kind begins with."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "system_fingerprint": self.fingerprint}

    def extension(self, outcome: Outcome) -> dict[str, Any]:
        """Return this server's own fields."""
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
            "ignored": list(self.ignored),
        }


def reason(outcome: Outcome) -> str:
    """Return the finish reason: `content_filter` if the fixed refusal replaces what the model wrote."""
    if outcome.fallback:
        return "content_filter"
    return "stop" if outcome.facts.finished else "length"


def usage(outcomes: Sequence[Outcome], prompts: int = 1) -> dict[str, int]:
    """Return the tokens of a request: each of its prompts once with what the tool returned, and all answers."""
    read = sum(one.prompt_tokens for one in outcomes[:: len(outcomes) // prompts])
    written = sum(one.completion_tokens for one in outcomes)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def log_probs(scores: Sequence[Score]) -> dict[str, Any] | None:
    """Return the log-probabilities in OpenAI's form; None if they were not requested."""
    if not scores:
        return None
    tokens = [{**_scored(one.text, one.log_prob), "top_logprobs": [_scored(*other) for other in one.top]} for one in scores]
    return {"content": tokens, "refusal": None}


def _scored(text: str, log_prob: float) -> dict[str, Any]:
    return {"token": text, "logprob": log_prob, "bytes": list(text.encode())}
