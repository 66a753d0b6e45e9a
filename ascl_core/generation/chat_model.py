"""A chat model as a function from conversations to replies: a checkpoint on this machine, or an endpoint.

Messages are in the project's form (thought in `reasoning_content`, tool arguments as a JSON string); each model gets
them in the form that it expects. A reply is an assistant message with at most one tool call; one that was cut off by the
token budget or by a filter is empty, so that no half sentence passes for an answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ascl_core.config.chat import ChatConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.contracts import Message
from ascl_core.conversation.content import neutralise
from ascl_core.conversation.formats import canonical_text, end_ids, template_ids, with_objects
from ascl_core.conversation.template import CALL, END_CALL, END_THINK, THINK, answering_turn, consulting_turn
from ascl_core.conversation.trajectory import read_calls
from ascl_core.generation import Sampling, make_generator
from ascl_core.generation.endpoint import DEFAULT_URL, Endpoint, Reply, check_replies
from ascl_core.generation.load import identity
from ascl_core.generation.thoughts import split_thought

if TYPE_CHECKING:
    from ascl_core.generation import Generator

Conversations = Sequence[Sequence[Message]]
Schemas = Sequence[dict[str, Any]]
_BATCH_SIZE = 16
_PARALLEL = 16


class ChatModel(Protocol):
    """A model that replies."""

    @property
    def name(self) -> str:
        """The model's identity."""

    def replies(
        self, conversations: Conversations, *, sampling: Sampling, tools: Schemas = (), seeds: Sequence[int] | None = None
    ) -> list[Message]:
        """Return the next assistant message of each conversation; `tools` are the schemas of those that it may call.

        `seeds`, one for each conversation, replace the sampling's seed: a reply then depends on no other call.
        """


class LocalChat:
    """A checkpoint or hub id, loaded when it is first asked."""

    def __init__(self, model: str, compute: ComputeConfig, revision: str | None = None) -> None:
        self.model = model
        self.compute = compute
        self.revision = revision

    @cached_property
    def name(self) -> str:
        """See `ChatModel`."""
        return identity(self.model, self.revision)

    @cached_property
    def _generator(self) -> Generator:
        return make_generator(self.model, self.compute, self.revision)

    def replies(
        self, conversations: Conversations, *, sampling: Sampling, tools: Schemas = (), seeds: Sequence[int] | None = None
    ) -> list[Message]:
        """See `ChatModel`; `ModelError` if the model cannot be loaded, or its template refuses the messages."""
        tokenizer = self._generator.tokenizer
        neutral = (neutralise([with_objects(message) for message in messages], tokenizer)[0] for messages in conversations)
        inputs = [template_ids(tokenizer, messages, tools=list(tools) or None, add_generation_prompt=True) for messages in neutral]
        outputs = self._generator.complete(inputs, sampling=sampling, batch_size=_BATCH_SIZE, seeds=seeds)
        return [_local_reply(ids, tokenizer) for ids in outputs]


class EndpointChat:
    """A model behind an OpenAI-compatible endpoint, several conversations at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @property
    def name(self) -> str:
        """See `ChatModel`."""
        return self.endpoint.name

    def replies(
        self, conversations: Conversations, *, sampling: Sampling, tools: Schemas = (), seeds: Sequence[int] | None = None
    ) -> list[Message]:
        """See `ChatModel`; `ModelError` if the endpoint cannot be reached. The seed differs by conversation."""
        options: dict[str, Any] = {"temperature": sampling.temperature, "max_tokens": sampling.max_new_tokens}
        if tools:
            options["tools"] = list(tools)

        def reply(number: int) -> Reply:
            seed = sampling.seed * 1_000_003 + number if seeds is None else seeds[number]
            return self.endpoint.chat(with_call_ids(neutralise(conversations[number])[0]), seed=seed, **options)

        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            replies = list(pool.map(reply, range(len(conversations))))
        check_replies(self.endpoint, replies, "replies are left empty")
        return [_endpoint_reply(reply) for reply in replies]


def make_chat(chat: ChatConfig, compute: ComputeConfig) -> ChatModel:
    """Return the chat model: `openai` is an endpoint, the other backends load the model on this machine."""
    if chat.backend == "openai":
        return EndpointChat(Endpoint(chat.model, chat.base_url or DEFAULT_URL))
    return LocalChat(chat.model, compute.model_copy(update={"backend": chat.backend}), chat.revision)


def read_reply(text: str) -> Message:
    """Return the assistant message in a generated turn: thought, then one call or an answer."""
    before, closed, rest = text.rpartition(END_THINK)
    thought = before.replace(THINK, "").strip() if closed else ""
    calls = read_calls(rest)
    return consulting_turn(thought, calls[0]) if calls else answering_turn(thought, rest.strip())


def with_call_ids(messages: Sequence[Message]) -> list[Message]:
    """Return the messages as an endpoint expects them: calls and results joined by ids, no thoughts."""
    converted: list[Message] = []
    call_id = ""
    for number, message in enumerate(messages):
        plain = {key: message[key] for key in ("role", "content")}
        if calls := message.get("tool_calls"):
            call_id = f"call{number:05}"  # Mistral's models take nine letters and digits, and nothing else
            plain["tool_calls"] = [{"id": call_id, **call} for call in calls]
        elif message["role"] == "tool":
            plain["tool_call_id"] = call_id
        converted.append(plain)
    return converted


def _local_reply(ids: list[int], tokenizer: Any) -> Message:
    finished = bool(ids) and ids[-1] in end_ids(tokenizer)
    return read_reply(canonical_text(tokenizer, tokenizer.decode(ids[:-1]))) if finished else answering_turn("", "")


def _endpoint_reply(reply: Reply) -> Message:
    """Return the endpoint's reply, read like a local model's text."""
    if reply.problem is not None:
        return answering_turn("", "")
    said, content = split_thought(reply.content)
    thought = reply.thought or said
    text = f"{THINK}{thought}{END_THINK}{content}" if thought else content
    for name, arguments in reply.calls[:1]:
        text += f'{CALL}{{"name": {json.dumps(name)}, "arguments": {arguments}}}{END_CALL}'
    return read_reply(text)
