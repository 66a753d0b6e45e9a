"""OpenAI's older completions: a prompt is answered like a message; with `echo` its own tokens are scored, for evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from ascl_core.config.base import Config, parse
from ascl_core.errors import ConfigError
from ascl_core.serving.answers import Answer, reason, usage
from ascl_core.serving.exchange import Outcome
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import ChatRequest, chat_request

if TYPE_CHECKING:
    from ascl_core.serving.service import Service


_Read = TypeVar("_Read", bound=Config)


class Prompted(Config):
    """A request's prompts, each a text or its token ids."""

    prompt: str | tuple[int, ...] | tuple[str, ...] | tuple[tuple[int, ...], ...] = Field(min_length=1)

    @property
    def prompts(self) -> tuple[str | tuple[int, ...], ...]:
        """The prompts one by one."""
        several = isinstance(self.prompt, tuple) and not all(isinstance(one, int) for one in self.prompt)
        return self.prompt if several else (self.prompt,)  # type: ignore[return-value]


class ScoringRequest(Prompted):
    """A request to score prompts."""

    model: str
    echo: bool
    logprobs: int = Field(ge=0, le=1)
    """1 also returns the most probable token at each position."""
    max_tokens: int = Field(default=0, ge=0, le=1)
    """1 appends the most probable next token."""
    temperature: float | None = None
    """Without effect, like `seed`."""
    seed: int | None = None


def read_completions(service: Service, values: dict[str, Any]) -> list[ChatRequest]:
    """Return a chat request for each prompt, whose text is the message; `RequestError` names what is wrong or not supported."""
    given = {name: value for name, value in values.items() if name not in ("echo", "prompt") and value is not None}
    prompts = _read(Prompted, {"prompt": values.get("prompt")}).prompts
    scored = given.pop("logprobs", None)
    if given.get("stream"):
        raise RequestError("completions are not streamed", field="stream", code="unsupported_parameter", hint="use /v1/chat/completions")
    if given.get("suffix") == "":
        del given["suffix"]
    if scored is not None and scored is not False:
        given |= {"logprobs": True, "top_logprobs": scored}
    texts = [one if isinstance(one, str) else service.text_of(one) for one in prompts]
    return [chat_request({**given, "messages": [{"role": "user", "content": text}]}, service.settings.on_unknown) for text in texts]


def completion_of(answer: Answer, outcomes: Sequence[Outcome], prompts: int) -> dict[str, Any]:
    """Return the completion of one prompt or several, each with equally many outcomes."""
    choices = []
    for number, outcome in enumerate(outcomes):
        tokens = [one.text for one in outcome.scores]
        tops = [dict(one.top) for one in outcome.scores if one.top]
        scores = _scores(tokens, [one.log_prob for one in outcome.scores], tops) if tokens else None
        choices.append({"index": number, "text": outcome.content, "logprobs": scores, "finish_reason": reason(outcome)})
    return {**answer.head("text_completion"), **answer.choices(choices, outcomes), "usage": usage(outcomes, prompts)}


def score_prompts(service: Service, values: dict[str, Any]) -> dict[str, Any]:
    """Return the prompts with the log-probability of each token; `RequestError` if the backend cannot score, or a prompt is too long."""
    request = _read(ScoringRequest, {name: value for name, value in values.items() if value is not None})
    backend: Any = service.engine.ready_backend()
    service.check_model(request.model)
    if not hasattr(backend, "log_probs"):
        raise RequestError(
            "prompts are not scored here", field="echo", hint="ask the upstream server, or start this one without --upstream"
        )
    tokenized = [service.tokens(one) for one in request.prompts]
    choices = [_scored(number, ids, request, service, backend) for number, ids in enumerate(tokenized)]
    read, written = sum(map(len, tokenized)), request.max_tokens * len(choices)
    counts = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    head = Answer(service.settings.name, "", None, "", with_thoughts=False, fingerprint=service.fingerprint(service.corpora.current))
    return {**head.head("text_completion"), "choices": choices, "usage": counts}


def _read(model: type[_Read], values: dict[str, Any]) -> _Read:
    try:
        return parse(model, values, file="body")
    except ConfigError as error:
        raise RequestError(error.problem, field=error.field, code="invalid_value", hint=error.hint) from None


def _scored(number: int, ids: list[int], request: ScoringRequest, service: Service, backend: Any) -> dict[str, Any]:
    log_probs = backend.log_probs(ids)
    best, tokens = log_probs.max(-1), list(ids)
    if request.max_tokens:
        tokens.append(int(best.indices[-1]))
    texts = service.token_texts(tokens)
    chosen = [float(log_probs[position, token]) for position, token in enumerate(tokens[1:])]
    tops: list[dict[str, float] | None] = []
    if request.logprobs:
        most = zip(service.token_texts(best.indices.tolist()), best.values.tolist(), strict=True)
        both = zip(zip(texts[1:], chosen, strict=True), most, strict=False)  # without max_tokens the last position chose no token
        tops = [None, *map(dict, both)]
    scores = _scores(texts, [None, *chosen], tops)
    return {"index": number, "text": "".join(texts), "logprobs": scores, "finish_reason": "length"}


def _scores(tokens: Sequence[str], log_probs: Sequence[float | None], tops: Sequence[dict[str, float] | None]) -> dict[str, Any]:
    offsets = [*accumulate(map(len, tokens[:-1]), initial=0)]
    return {"tokens": [*tokens], "token_logprobs": [*log_probs], "top_logprobs": [*tops] or None, "text_offset": offsets}
