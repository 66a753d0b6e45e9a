"""Parse the body of a chat completion: OpenAI's parameters, with a clear error for those that are not supported."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from ascl_core.config.base import Config, parse
from ascl_core.conversation.tool import TOOL_NAME
from ascl_core.errors import ConfigError
from ascl_core.serving.problems import RequestError

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "stop": ([], ""),
    "store": (False,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}
"""Unsupported parameters, with the values that have no effect and are accepted."""
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
_ABOUT_THE_CALLER = ("user", "metadata", "safety_identifier", "prompt_cache_key", "service_tier")
"""Accepted and ignored."""


class TextPart(Config):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class ChatMessage(Config):
    """One message of the conversation so far."""

    role: str
    content: str | tuple[TextPart, ...]
    name: str | None = None
    """Accepted and ignored."""

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(Config):
    """Options of a stream."""

    include_usage: bool = False
    include_obfuscation: bool = False
    """Accepted and ignored."""


class ChatRequest(Config):
    """A valid request."""

    model: str
    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=256)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    """The token limit of the answer, thoughts and look-ups included."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """The newer name of `max_tokens`."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    jurisdiction: str | None = None
    """The jurisdiction of the conversation; the server's default if not given."""
    include_reasoning: bool = False
    """Whether the answer carries the thoughts in `reasoning_content`."""

    @property
    def most_tokens(self) -> int | None:
        """The token limit under either name; the smaller one if both are given."""
        return min((one for one in (self.max_tokens, self.max_completion_tokens) if one is not None), default=None)

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with a separate chunk for the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


def read_json(content: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; `RequestError` if it is not one."""
    try:
        values = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {str(error)[:200]}", code="invalid_json") from None
    if not isinstance(values, dict):
        raise RequestError("the body is not a JSON object", code="invalid_json")
    return values


def read_chat(content: bytes) -> ChatRequest:
    """Return the request in a body; `RequestError` names the parameter that is wrong or not supported."""
    values = {name: value for name, value in read_json(content).items() if name not in _ABOUT_THE_CALLER}
    asked = {name: value for name, value in values.items() if not _has_no_effect(name, value)}
    try:
        request = parse(ChatRequest, asked, file="body")
    except ConfigError as error:
        code = "unknown_parameter" if error.problem.startswith("unknown key") else "invalid_value"
        raise RequestError(error.problem, field=error.field, code=code, hint=error.hint) from None
    check_messages(request.messages)
    return request


def check_messages(messages: tuple[ChatMessage, ...]) -> None:
    """Raise `RequestError` unless user and assistant take turns, the user first and last, in valid text."""
    for number, message in enumerate(messages):
        field = f"messages.{number}"
        if message.role not in ("user", "assistant"):
            hint = (
                "the server sends the system message that the model was trained with" if message.role in ("system", "developer") else None
            )
            problem = f"messages of the role {message.role[:40]!r} are not supported"
            raise RequestError(problem, field=f"{field}.role", code="unsupported_value", hint=hint)
        if message.role != ("user", "assistant")[number % 2]:
            raise RequestError("user and assistant must take turns, the user first", field=f"{field}.role", code="invalid_value")
        if not message.text.strip():
            raise RequestError("the message is empty", field=f"{field}.content", code="invalid_value")
        if not message.text.isascii() and any("\ud800" <= character <= "\udfff" for character in message.text):
            raise RequestError("the message contains half of a surrogate pair", field=f"{field}.content", code="invalid_value")
    if messages[-1].role != "user":
        raise RequestError("the last message must be the user's", field="messages", code="invalid_value")


def _has_no_effect(name: str, value: Any) -> bool:
    """Return whether a parameter can be dropped; `RequestError` if it is not supported and its value would have an effect."""
    if name in _TOOLS:
        if value in (None, []):
            return True
        hint = f"the server executes the tool loop itself, with its one tool {TOOL_NAME}: leave it out"
        raise RequestError(f"{name} is not supported", field=name, code="unsupported_parameter", hint=hint)
    if name not in _NEUTRAL:
        return value is None
    if value is None or value in _NEUTRAL[name]:
        return True
    raise RequestError(f"{name} is not supported", field=name, code="unsupported_parameter", hint="leave it out")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")
