"""Parse the body of a chat completion: OpenAI's parameters, with a clear error for those that are not supported."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, field_validator

from ascl_core.config.base import Config, parse
from ascl_core.conversation.tool import TOOL_NAME
from ascl_core.errors import ConfigError
from ascl_core.serving.messages import ChatMessage, check_messages
from ascl_core.serving.problems import RequestError
from ascl_core.text import encodable

OnUnknown = Literal["refuse", "ignore"]
"""What to do with a parameter that the server does not know: refuse the request, or ignore the parameter and say so."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True,),
    "bad_words": ([],),
    "best_of": (1,),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "min_p": (0,),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "skip_special_tokens": (True,),
    "stop_token_ids": ([],),
    "top_k": (-1, 0),
    "typical_p": (1,),
    "use_beam_search": (False,),
    "web_search_options": (),
}
"""Unsupported parameters of OpenAI's and vLLM's servers, with the values that have no effect and are accepted."""
_TOOLS = ("tools", "functions")
_ABOUT_TOOLS = {"tool_choice": ("none", "auto"), "function_call": ("none", "auto"), "parallel_tool_calls": (True, False)}
"""What clients send beside tools, with the values that have no effect where there are none."""
_ABOUT_THE_CALLER = ("user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier")
"""Accepted and ignored."""
_HINTS = {"reasoning_effort": (), "verbosity": (), "store": (False,)}
"""Wishes about style or storage, which are ignored; the answer says so unless the value is one of these."""


class StreamOptions(Config):
    """Options of a stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    """Accepted and ignored."""
    continuous_usage_stats: Literal[False] | None = None
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
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=16)
    """How many answers to return."""
    stop: tuple[Annotated[str, Field(max_length=256)], ...] | None = Field(default=None, max_length=16)
    """An answer ends before the first of these texts; thoughts do not."""
    logprobs: bool | None = None
    """Whether to return the log-probability of each token of the answer."""
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    """How many of the most probable tokens to return beside each token of the answer; needs `logprobs`."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    jurisdiction: str | None = None
    """The jurisdiction of the conversation; the server's default if not given."""
    include_reasoning: bool = False
    """Whether the answer carries the thoughts in `reasoning_content`."""

    _ignored: tuple[str, ...] = PrivateAttr(default=())

    @field_validator("stop", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        texts = [value] if isinstance(value, str) else value
        return [text for text in texts if text != ""] if isinstance(texts, list) else texts

    @property
    def ignored(self) -> tuple[str, ...]:
        """The parameters that were ignored although they might have had an effect."""
        return self._ignored

    @property
    def most_tokens(self) -> int | None:
        """The token limit under either name; the smaller one if both are given."""
        return min((one for one in (self.max_tokens, self.max_completion_tokens) if one is not None), default=None)

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with a separate chunk for the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


_LEAVE_OUT = "leave it out, or start the server with --on-unknown ignore"


def read_json(content: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; `RequestError` if it is not one."""
    try:
        values = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {str(error)[:200]}", code="invalid_json") from None
    if not isinstance(values, dict):
        raise RequestError("the body is not a JSON object", code="invalid_json")
    return values


def read_chat(content: bytes, on_unknown: OnUnknown = "refuse") -> ChatRequest:
    """Return the request in a body; `RequestError` names the parameter that is wrong or not supported."""
    return chat_request(read_json(content), on_unknown)


def chat_request(values: dict[str, Any], on_unknown: OnUnknown = "refuse") -> ChatRequest:
    """Return the request with these parameters; see `read_chat`."""
    offers_tools = any(values.get(name) for name in _TOOLS) and values.get("tool_choice", values.get("function_call")) != "none"
    asked = {
        name: value for name, value in values.items() if name not in _ABOUT_THE_CALLER and not _has_no_effect(name, value, offers_tools)
    }
    unknown = asked.keys() - ChatRequest.model_fields.keys()
    ignored = sorted(unknown if on_unknown == "ignore" else unknown & _HINTS.keys())
    asked = {name: value for name, value in asked.items() if name not in ignored}
    for name in sorted(asked.keys() & {*_TOOLS, *_ABOUT_TOOLS}):
        hint = f"the server executes the tool loop itself, with its one tool {TOOL_NAME}: {_LEAVE_OUT}"
        raise RequestError(f"{name} is not supported", field=name, code="unsupported_parameter", hint=hint)
    for name in sorted(asked.keys() & _NEUTRAL.keys()):
        raise RequestError(f"{name} is not supported", field=name, code="unsupported_parameter", hint=_LEAVE_OUT)
    try:
        request = parse(ChatRequest, asked, file="body")
    except ConfigError as error:
        code = "unknown_parameter" if error.problem.startswith("unknown key") else "invalid_value"
        raise RequestError(error.problem, field=error.field, code=code, hint=error.hint) from None
    if request.top_logprobs and not request.logprobs:
        raise RequestError("top_logprobs needs logprobs", field="top_logprobs", code="invalid_value", hint="set logprobs to true")
    check_messages(request.messages)
    request._ignored = tuple(map(encodable, ignored))
    return request


def _has_no_effect(name: str, value: Any, offers_tools: bool) -> bool:
    """Return whether a parameter can be dropped without a word; the tools of a client are never called."""
    if name in _TOOLS:
        return not value or not offers_tools
    return value is None or value in (*_NEUTRAL.get(name, ()), *_ABOUT_TOOLS.get(name, ()), *_HINTS.get(name, ()))


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")
