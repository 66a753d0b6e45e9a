"""OpenAI's responses: the same conversation as a chat completion, in the newer form; nothing is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ascl_core.serving.answers import Answer, usage
from ascl_core.serving.exchange import Outcome
from ascl_core.serving.messages import THOUGHTS
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import ChatRequest, OnUnknown, chat_request, read_json
from ascl_core.serving.splitting import Piece
from ascl_core.serving.streaming import STILL_AT_WORK, Events, event_line, problem_of, timed

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "background": (False,),
    "include": ([], ["reasoning.encrypted_content"]),
    "reasoning": ({},),
    "text": ({"format": {"type": "text"}}, {}),
    "truncation": ("disabled",),
}
_WISHES = {"reasoning": ("effort", "reasoning_effort"), "text": ("verbosity", "verbosity")}
"""The parameters with a part that a chat completion has as a parameter, with the names of both."""


def read_response(content: bytes, on_unknown: OnUnknown) -> ChatRequest:
    """Return the request in a body as a chat request; `RequestError` names what is wrong or not supported."""
    values = read_json(content)
    for name, (part, in_chat) in _WISHES.items():
        if isinstance(values.get(name), dict):
            values[name] = {key: value for key, value in values[name].items() if value is not None}
            values.setdefault(in_chat, values[name].pop(part, None))
    values = {name: value for name, value in values.items() if value is not None and value not in _NEUTRAL.get(name, ())}
    asked = values.pop("input", None)
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise RequestError("input must be a text or a list of messages", field="input", code="invalid_value")
    messages = [one for one in messages if one.get("type") not in THOUGHTS]
    if others := sorted({str(one["type"])[:40] for one in messages if one.get("type") not in (None, "message")}):
        raise RequestError(f"only messages can be read, not {', '.join(others)}", field="input", code="invalid_value")
    if instructions := values.pop("instructions", None):
        messages = [{"role": "system", "content": instructions}, *messages]
    if (most := values.pop("max_output_tokens", None)) is not None:
        values["max_tokens"] = most
    values.pop("store", None)  # nothing is stored, whatever it says; true is the default here
    if "previous_response_id" in values:
        raise RequestError("no response is stored", field="previous_response_id", code="unsupported_parameter", hint="send all messages")
    if values.get("n", 1) != 1:
        raise RequestError("a response is one answer", field="n", code="unsupported_parameter")
    return chat_request({**values, "messages": messages}, on_unknown)


def response_of(answer: Answer, outcome: Outcome | None) -> dict[str, Any]:
    """Return the response; without an outcome that of an answer in progress."""
    is_cut = outcome is not None and not outcome.fallback and not outcome.facts.finished
    status = "in_progress" if outcome is None else "incomplete" if is_cut else "completed"
    tokens = usage([outcome]) if outcome else None
    return {
        "id": _id(answer, "resp"),
        "object": "response",
        "created_at": answer.created,
        "model": answer.model,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "instructions": None,
        "metadata": {},
        "output": [_item(answer, outcome.content, status)] if outcome else [],
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "store": False,
        "usage": tokens
        and {
            "input_tokens": tokens["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": tokens["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens["total_tokens"],
        },
        **({"ascl": answer.extension(outcome)} if outcome else {}),
    }


async def response_events(answer: Answer, events: Events) -> AsyncIterator[str]:
    """Yield the events of a streamed response."""
    number = -1
    item = {"item_id": _id(answer, "msg"), "output_index": 0, "content_index": 0}

    def line(kind: str, **fields: Any) -> str:
        nonlocal number
        number += 1
        return event_line({"type": kind, "sequence_number": number, **fields}, kind)

    yield line("response.created", response=response_of(answer, None))
    yield line("response.output_item.added", output_index=0, item={**_item(answer, "", "in_progress"), "content": []})
    yield line("response.content_part.added", **item, part=_part(""))
    async for one in timed(events):
        if one is None:
            yield STILL_AT_WORK
            continue
        event = one[1]
        if isinstance(event, Piece):
            if event.kind == "content":
                yield line("response.output_text.delta", **item, delta=event.text, logprobs=[])
            continue
        if not isinstance(event, Outcome):
            error = problem_of(event).to_json()["error"]
            yield line("error", message=error["message"], code=error["code"], param=error["param"])
            return
        whole = response_of(answer, event)
        yield line("response.output_text.done", **item, text=event.content, logprobs=[])
        yield line("response.content_part.done", **item, part=_part(event.content))
        yield line("response.output_item.done", output_index=0, item=whole["output"][0])
        yield line(f"response.{whole['status']}", response=whole)
        return


def _id(answer: Answer, prefix: str) -> str:
    return f"{prefix}_{answer.id.rpartition('-')[2]}"


def _item(answer: Answer, text: str, status: str) -> dict[str, Any]:
    return {"id": _id(answer, "msg"), "type": "message", "role": "assistant", "status": status, "content": [_part(text)]}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
