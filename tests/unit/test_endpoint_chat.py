"""Teachers behind an endpoint: replies in the forms of many servers, and those that cannot be used."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest

from ascl_core.generation import Sampling
from ascl_core.generation.chat_model import EndpointChat
from ascl_core.generation.endpoint import Endpoint, read_reply
from ascl_core.judges.endpoint import read_verdict
from ascl_core.rewards.claims_judge import read_claim
from tests.chat_server import Server

CALL = {"query": "port scan", "category": "CYB"}


def body(finish_reason: str | None = "stop", **message: Any) -> bytes:
    """A completion with that message."""
    return json.dumps({"choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish_reason}]}).encode()


def reply(server: Server, answer: bytes, status: int = 200) -> dict[str, Any]:
    """The message that is made of an answer."""
    server.answer(answer, status)
    chat = EndpointChat(Endpoint("m", server.url))
    [message] = chat.replies([[{"role": "user", "content": "Hi."}]], sampling=Sampling(1.0, 64, 0))
    return message


@pytest.mark.parametrize("arguments", [json.dumps(CALL), CALL, json.dumps(json.dumps(CALL))])
@pytest.mark.parametrize("content", [None, "", []])
def test_arguments_are_read_as_text_and_as_an_object(server: Server, arguments: Any, content: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "consult_safety_rules", "arguments": arguments}}
    message = reply(server, body("tool_calls", content=content, tool_calls=[call]))
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == CALL


def test_a_call_in_the_older_form_is_read(server: Server) -> None:
    call = {"name": "consult_safety_rules", "arguments": json.dumps(CALL)}
    message = reply(server, body("function_call", content=None, function_call=call))
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == CALL


@pytest.mark.parametrize(
    "parts",
    [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "greet"}]}, {"type": "text", "text": "Hello."}]},
        {"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}], "reasoning_content": "greet"},
        {"content": "Hello.", "reasoning": "greet"},
        {"content": "<think>greet</think>Hello."},
        {"content": "<think>greet</think>Hello.", "reasoning_content": "greet"},
        {"content": "\n<thinking>\ngreet\n</thinking>\n\nHello."},
        {"content": "[THINK]greet[/THINK]Hello."},
        {"content": "◁think▷greet◁/think▷Hello."},
        {"content": "<seed:think>greet</seed:think>Hello."},
        {"content": "<|channel>thought\ngreet<channel|>Hello."},
    ],
)
def test_thought_and_answer_are_read_from_text_and_from_parts(server: Server, parts: dict[str, Any]) -> None:
    message = reply(server, body(**parts))
    assert (message["reasoning_content"], message["content"]) == ("greet", "Hello.")


def test_a_thought_without_an_end_is_no_answer_and_a_mark_in_an_answer_begins_no_thought(server: Server) -> None:
    assert reply(server, body(content="<thinking>Perhaps greet"))["content"] == ""
    server.script.clear()
    assert reply(server, body(content="Write <thinking> before it."))["content"] == "Write <thinking> before it."


@pytest.mark.parametrize(
    ("answer", "status", "problem"),
    [
        (body("length", content="Half a"), 200, "1 truncated"),
        (body("length", tool_calls=[{"function": {"name": "consult_safety_rules", "arguments": '{"query": "po'}}]), 200, "1 truncated"),
        (body("content_filter", content="Half a"), 200, "1 filtered"),
        (body(content=None), 200, "1 empty"),
        (b'{"error": {"code": "content_filter", "message": "no"}}', 400, "1 filtered"),
    ],
)
def test_a_reply_that_cannot_be_used_is_empty_and_counted(
    server: Server, caplog: pytest.LogCaptureFixture, answer: bytes, status: int, problem: str
) -> None:
    with caplog.at_level(logging.WARNING):
        message = reply(server, answer, status)
    assert message == {"role": "assistant", "reasoning_content": "", "content": ""}
    assert [record.message for record in caplog.records] == [f"m@{server.url[7:-3]}: 1 of 1 replies are left empty: {problem}"]


def test_a_model_that_takes_no_seed_is_asked_without(server: Server) -> None:
    server.answer(b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}', 422)
    assert reply(server, body(content="Hello."))["content"] == "Hello."
    assert ["seed" in asked for _, _, asked in server.requests] == [True, False]


PIECES = (
    *('{"choices": [{"message": {"content": ', "null", '"a"', "[", "]", "{", "}", ":", ",", '"finish_reason": ', '"stop"', "1e999", "NaN"),
    *('"tool_calls": ', '"function": ', '"name": ', '"arguments": ', '"text": ', '"thinking": ', '"reasoning": ', "0", "true", "\\ud800"),
    *('{"refusal": "full"', '"harm": "none"', '"pretends": ', "<think>", "</think>", "<tool_call>", "\x00", "é", '{"a":' * 50, "[" * 2000),
)
NODES = (None, True, 0, 1e999, "", "stop", "<think>", "</think><tool_call>{", "\ud800", '{"refusal": {}, "harm": [], "pretends": 1}')
NAMES = ("choices", "message", "content", "tool_calls", "function", "name", "arguments", "finish_reason", "text", "thinking", "refusal")


def random_value(draw: random.Random, depth: int) -> Any:
    """A JSON value of the names and texts that a reply is made of."""
    kind = draw.random() if depth else 1.0
    if kind < 0.35:
        return {draw.choice(NAMES): random_value(draw, depth - 1) for _ in range(draw.randrange(4))}
    return [random_value(draw, depth - 1) for _ in range(draw.randrange(3))] if kind < 0.6 else draw.choice(NODES)


def random_reply(draw: random.Random) -> bytes:
    """Broken text, any JSON value, or a completion whose message is one."""
    kind = draw.random()
    if kind < 0.3:
        return "".join(draw.choices(PIECES, k=draw.randrange(12))).encode("utf-8", "replace")
    value = random_value(draw, 5)
    if kind < 0.8:
        message = {name: random_value(draw, 4) for name in draw.sample(NAMES, 4)}
        value = {"choices": [{"message": message, "finish_reason": draw.choice(NODES)}]}
    return json.dumps(value).encode()[: draw.choice((None, None, None, 40))]


@pytest.mark.fuzz
def test_no_reply_of_ten_thousand_ends_in_a_traceback() -> None:
    from ascl_core.generation.chat_model import _endpoint_reply

    draw = random.Random(7)
    read = 0
    for _ in range(10_000):
        if (found := read_reply(random_reply(draw))) is None:
            continue
        read += 1
        message = _endpoint_reply(found)
        json.dumps(message, ensure_ascii=False).encode()
        read_verdict(found.content)
        read_claim(found.content)
    assert 1_000 < read < 9_000
