"""What the endpoints share: the model, the rules, the access check, and how a request becomes an exchange."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

from ascl_core.config.params import Params
from ascl_core.contracts import Message
from ascl_core.conversation.content import neutralise
from ascl_core.conversation.token_ids import prompt_ids
from ascl_core.conversation.tool_loop import OpenConversation
from ascl_core.released import checkpoint_digest
from ascl_core.serving.access import Access
from ascl_core.serving.answers import Answer
from ascl_core.serving.corpora import Served, ServedCorpora
from ascl_core.serving.engine import Backend, Engine
from ascl_core.serving.exchange import Drawing, Event, Exchange, OnInvalid
from ascl_core.serving.look_up_log import LookUpLog
from ascl_core.serving.messages import OnSystem, split_system
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import ChatRequest, OnUnknown
from ascl_core.text import encodable


@dataclass(frozen=True)
class Settings:
    """How a checkpoint is served."""

    checkpoint: str
    """A folder or a hub id."""
    name: str
    """The name of the model in the API."""
    jurisdiction: str
    """The jurisdiction of requests that name none."""
    release: str | None = None
    """The release of the checkpoint and the given corpus, such as `release/1`; None if they are not released."""
    upstream: str | None = None
    """The address of vLLM's server, which generates; None generates with transformers in this process."""
    upstream_timeout_s: float = 120.0
    """How long that server's answer may take to begin, and then each of its parts."""
    upstream_tolerance: float = 0.05
    """How far its log-probabilities may be from the checkpoint's own, in nats a token, on average."""
    batch_size: int | None = None
    """How many answers are generated at a time; None is 8, or 256 with an upstream server, which batches them itself."""
    queue: int = 64
    """How many requests may wait."""
    most_tokens: int = 2048
    """The most tokens of one answer."""
    on_invalid: OnInvalid = "resample"
    """What to do with a malformed conversation: see `Exchange`."""
    on_system: OnSystem = "ignore"
    """What to do with a client's system messages."""
    on_unknown: OnUnknown = "refuse"
    """What to do with a parameter that the server does not know."""


@dataclass
class Service:
    """A served checkpoint."""

    settings: Settings
    params: Params
    corpora: ServedCorpora
    access: Access
    engine: Engine
    identity: dict[str, Any] = field(default_factory=dict)
    """The digest of the checkpoint; known once it is loaded."""
    look_ups: LookUpLog = field(default_factory=LookUpLog)

    _tokenizing: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def _tokenizer(self) -> Any:
        """A copy for the threads of requests: a fast tokenizer must not be used by two threads at once."""
        return copy.deepcopy(self.engine.ready_backend().tokenizer)

    def open(self, requests: Sequence[ChatRequest], emit: Callable[[int, Event], None]) -> tuple[list[Exchange], Answer]:
        """Return the exchanges that answer requests with the current rules, one for each choice, and the form of the answer.

        The requests differ in their messages only. `RequestError` if the model or the jurisdiction does not exist, or they do not fit.
        """
        request, choices = requests[0], requests[0].n or 1
        if len(requests) * choices > self.settings.queue:
            problem = f"this server queues at most {self.settings.queue} answers"
            raise RequestError(problem, field="n", code="invalid_value", hint="send fewer prompts, or ask for fewer answers")
        backend, settings, conversation = self.engine.ready_backend(), self.settings, self.params.conversation
        self.check_model(request.model)
        served, jurisdiction = self.corpora.current, request.jurisdiction or settings.jurisdiction
        if jurisdiction not in served.jurisdictions:
            hint = f"one of {', '.join(served.jurisdictions)}"
            raise RequestError(f"no jurisdiction {jurisdiction[:40]!r}", field="jurisdiction", code="invalid_value", hint=hint)
        if request.logprobs and not backend.has_log_probs:
            hint = "start vLLM with --logprobs-mode processed_logprobs"
            problem = "the upstream server's log-probabilities are not of what is drawn from"
            raise RequestError(problem, field="logprobs", code="unsupported_parameter", hint=hint)
        prompts = [self._prompt(one, backend.context_length) for one in requests]
        tool = served.tool(jurisdiction, conversation, self.look_ups.of(served, jurisdiction))
        drawing = Drawing(
            self.params.evaluate.temperature if request.temperature is None else request.temperature,
            request.most_tokens or settings.most_tokens,
            request.seed,
            request.top_p or 1.0,
            request.stop or (),
            bool(request.logprobs),
            request.top_logprobs or 0,
        )
        exchanges = [
            Exchange(
                OpenConversation(prompt_ids=ids, tool=tool, max_tool_calls=conversation.max_tool_calls),
                backend.tokenizer,
                drawing.choice(number),
                backend.context_length,
                partial(emit, position),
                on_invalid=settings.on_invalid,
            )
            for position, ((ids, _), number) in enumerate(product(prompts, range(choices)))
        ]
        neutralised = sum(count for _, count in prompts)
        has_system = settings.on_system == "ignore" and split_system(request.messages, settings.on_system)[0]
        ignored = (*request.ignored, *(["system messages"] if has_system else []))
        answer = Answer(
            *(settings.name, served.digest, self.release_of(served), jurisdiction, request.include_reasoning, neutralised),
            fingerprint=self.fingerprint(served),
            ignored=ignored,
            with_usage=request.with_usage,
        )
        return exchanges, answer

    def _prompt(self, request: ChatRequest, context_length: int) -> tuple[list[int], int]:
        """Return the tokens of the messages under the system message of training, and the number of neutralised control strings."""
        if (request.most_tokens or 0) > self.settings.most_tokens:
            problem = f"an answer may have at most {self.settings.most_tokens} tokens"
            raise RequestError(problem, field="max_tokens", code="invalid_value")
        system, asked = split_system(request.messages, self.settings.on_system)
        trained, appended = self.params.conversation.system_prompt, system and self.settings.on_system == "append"
        opened: list[Message] = [{"role": "system", "content": f"{trained}\n\n{system}" if appended else trained}]
        opened += [{"role": one.role, "content": one.text} for one in asked]
        with self._tokenizing:
            messages, neutralised = neutralise(opened, self._tokenizer)
            ids = prompt_ids(self._tokenizer, messages, self.params.conversation)
        if len(ids) >= context_length:
            problem = (
                f"This model's maximum context length is {context_length} tokens. However, your messages resulted in {len(ids)} tokens"
            )
            raise RequestError(problem, field="messages", code="context_length_exceeded", hint="please reduce the length of the messages")
        return ids, neutralised

    def check_model(self, name: str) -> None:
        """Raise `RequestError` unless this is the name of the served model."""
        if name != self.settings.name:
            hint = f"this server has {self.settings.name!r}"
            raise RequestError(f"no model {name[:80]!r}", 404, field="model", code="model_not_found", hint=hint)

    def tokens(self, prompt: str | Sequence[int]) -> list[int]:
        """Return the tokens of a prompt to be scored, a text or token ids; `RequestError` if they are none, too many or unknown."""
        if isinstance(prompt, str) and prompt != encodable(prompt):
            raise RequestError("the prompt contains half of a surrogate pair", field="prompt", code="invalid_value")
        with self._tokenizing:
            ids = self._tokenizer.encode(prompt, add_special_tokens=False) if isinstance(prompt, str) else [*prompt]
            known = len(self._tokenizer)
        most = self.engine.ready_backend().context_length
        if not 1 <= len(ids) <= most:
            problem = f"This model's maximum context length is {most} tokens. However, your prompt resulted in {len(ids)} tokens"
            raise RequestError(problem, field="prompt", code="context_length_exceeded")
        if not all(0 <= token < known for token in ids):
            raise RequestError(f"token ids must be from 0 to {known - 1}", field="prompt", code="invalid_value")
        return ids

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text of a prompt that came as tokens; `RequestError` if they are none, too many or unknown."""
        known = self.tokens(ids)
        with self._tokenizing:
            return str(self._tokenizer.decode(known))

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token alone."""
        with self._tokenizing:
            return [self._tokenizer.decode([token]) for token in ids]

    def fingerprint(self, served: Served) -> str:
        """Return the fingerprint of checkpoint and rules; `hub` stands for a checkpoint that is no folder."""
        return f"fp_{str(self.identity.get('checkpoint_sha256', 'hub'))[:12]}_{served.digest[:12]}"

    def release_of(self, served: Served) -> str | None:
        """Return the release of an answer with these rules; None if it may have other rules or weights than were released together.

        The rules are others after a swap. The weights of an upstream server may be, unless they were compared, and differ by rounding only.
        """
        upstream = self.identity.get("upstream", {"difference": 0.0})
        is_same = upstream["difference"] is not None and upstream["difference"] <= Settings.upstream_tolerance
        return self.settings.release if is_same and served.digest == self.corpora.given else None


def loader(settings: Settings, params: Params, identity: dict[str, Any]) -> Callable[[], Backend]:
    """Return the function that loads the checkpoint with the configured backend and fills in its identity."""

    def load() -> Backend:
        backend = _backend(settings, params, identity)
        folder = Path(settings.checkpoint)
        if folder.is_dir():
            identity["checkpoint_sha256"] = checkpoint_digest(folder)
        return backend

    return load


def _backend(settings: Settings, params: Params, identity: dict[str, Any]) -> Backend:
    if settings.upstream is None:
        from ascl_core.serving.transformers_backend import TransformersBackend

        return TransformersBackend(settings.checkpoint, params.compute, settings.batch_size or 8)
    from ascl_core.serving.upstream import Upstream
    from ascl_core.serving.upstream_backend import UpstreamBackend

    limits = {"timeout_s": settings.upstream_timeout_s, "tolerance": settings.upstream_tolerance}
    upstream = Upstream(settings.upstream, settings.checkpoint, settings.name, **limits)
    opening: list[Message] = [{"role": "system", "content": params.conversation.system_prompt}, {"role": "user", "content": "Hello"}]
    upstream.prove(prompt_ids(upstream.tokenizer, opening, params.conversation), params.compute)
    identity["upstream"] = upstream.to_json()
    print(f"tokens come from {settings.upstream}: {upstream.summary}", flush=True)
    return UpstreamBackend(upstream, settings.batch_size or 256)
