"""What the endpoints share: the model, the rules, the access check, and how a request becomes an exchange."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ascl_core.config.params import Params
from ascl_core.contracts import Message
from ascl_core.conversation.content import neutralise
from ascl_core.generation.load import device_of
from ascl_core.generation.tool_loop import OpenConversation, prompt_ids
from ascl_core.serving.access import Access
from ascl_core.serving.answers import Answer
from ascl_core.serving.corpora import Served, ServedCorpora
from ascl_core.serving.engine import Backend, Engine
from ascl_core.serving.exchange import Drawing, Emit, Exchange, OnInvalid
from ascl_core.serving.look_up_log import LookUpLog
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import ChatRequest


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
    backend: str | None = None
    """What generates; None is vLLM if it is configured, or installed beside a GPU, and transformers otherwise."""
    batch_size: int = 8
    """How many answers are generated at a time."""
    queue: int = 64
    """How many requests may wait."""
    most_tokens: int = 2048
    """The most tokens of one answer."""
    on_invalid: OnInvalid = "resample"
    """What to do with a malformed conversation: see `Exchange`."""


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

    def open(self, request: ChatRequest, emit: Emit) -> tuple[Exchange, Answer]:
        """Return the exchange that answers the request with the current rules, and the form of its answer.

        `RequestError` if the model or the jurisdiction does not exist, or the request does not fit.
        """
        backend, settings, conversation = self.engine.ready_backend(), self.settings, self.params.conversation
        if request.model != settings.name:
            hint = f"this server has {settings.name!r}"
            raise RequestError(f"no model {request.model[:80]!r}", 404, field="model", code="model_not_found", hint=hint)
        served, jurisdiction = self.corpora.current, request.jurisdiction or settings.jurisdiction
        if jurisdiction not in served.jurisdictions:
            hint = f"one of {', '.join(served.jurisdictions)}"
            raise RequestError(f"no jurisdiction {jurisdiction[:40]!r}", field="jurisdiction", code="invalid_value", hint=hint)
        ids, neutralised = self._prompt(request, backend.context_length)
        tool = served.tool(jurisdiction, conversation, self.look_ups.of(served, jurisdiction))
        opened = OpenConversation(prompt_ids=ids, tool=tool, max_tool_calls=conversation.max_tool_calls)
        temperature = self.params.evaluate.temperature if request.temperature is None else request.temperature
        drawing = Drawing(temperature, request.most_tokens or settings.most_tokens, request.seed)
        exchange = Exchange(opened, backend.tokenizer, drawing, backend.context_length, emit, on_invalid=settings.on_invalid)
        release = self.release_of(served)
        return exchange, Answer(settings.name, served.digest, release, jurisdiction, request.include_reasoning, neutralised)

    def _prompt(self, request: ChatRequest, context_length: int) -> tuple[list[int], int]:
        """Return the tokens of the messages under the system message of training, and the number of neutralised control strings."""
        if (request.most_tokens or 0) > self.settings.most_tokens:
            problem = f"an answer may have at most {self.settings.most_tokens} tokens"
            raise RequestError(problem, field="max_tokens", code="invalid_value")
        asked: list[Message] = [{"role": one.role, "content": one.text} for one in request.messages]
        with self._tokenizing:
            messages, neutralised = neutralise(asked, self._tokenizer)
            opened: list[Message] = [{"role": "system", "content": self.params.conversation.system_prompt}, *messages]
            ids = prompt_ids(self._tokenizer, opened, self.params.conversation)
        if len(ids) >= context_length:
            problem = f"the messages have {len(ids)} tokens, and the model's context holds {context_length}"
            raise RequestError(problem, field="messages", code="context_length_exceeded", hint="shorten them")
        return ids, neutralised

    def release_of(self, served: Served) -> str | None:
        """Return the release of an answer with these rules; None after a swap to rules that were not released with the checkpoint."""
        return self.settings.release if served.digest == self.corpora.given else None


def loader(settings: Settings, params: Params, identity: dict[str, Any]) -> Callable[[], Backend]:
    """Return the function that loads the checkpoint with the configured backend and fills in its identity."""

    def load() -> Backend:
        backend = _backend(settings, params)
        folder = Path(settings.checkpoint)
        if folder.is_dir():
            from ascl_core.artifacts import digest

            identity["checkpoint_sha256"] = digest(folder)
        return backend

    return load


def _backend(settings: Settings, params: Params) -> Backend:
    if _samples_with_vllm(settings, params):
        from ascl_core.serving.vllm_backend import VllmBackend

        return VllmBackend(settings.checkpoint, params.compute, settings.batch_size)
    from ascl_core.serving.transformers_backend import TransformersBackend

    return TransformersBackend(settings.checkpoint, params.compute, settings.batch_size)


def _samples_with_vllm(settings: Settings, params: Params) -> bool:
    if settings.backend is not None:
        return settings.backend == "vllm"
    return params.compute.backend == "vllm" or (find_spec("vllm") is not None and device_of(params.compute) == "cuda")
