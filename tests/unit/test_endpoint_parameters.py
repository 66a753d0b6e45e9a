"""What a model behind an endpoint does not take is left out of requests, or is another value."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from ascl_core.errors import JudgeError
from ascl_core.vocabulary import Refusal
from tests.chat_server import FULL, Server, completion
from tests.endpoint_judge import ITEM, make_judge, server

__all__ = ["server"]


@pytest.mark.parametrize(
    ("status", "message", "sent"),
    [
        (422, "Input validation error: `temperature` must be strictly positive", {"temperature": None, "max_tokens": 999}),
        (400, "invalid temperature: only 1 is allowed for this model", {"temperature": None, "max_tokens": 999}),
        (400, "max_tokens is not supported", {"max_tokens": None, "max_completion_tokens": 999}),
        (404, "unsupported_parameter: temperature", {"temperature": None, "max_tokens": 999}),
        (400, "Range of max_tokens should be [1, 512]", {"max_tokens": 512}),
        (400, "`max_tokens` must be less than or equal to `512`, which is less than the `context_window`", {"max_tokens": 512}),
        (400, "max_tokens: 999 > 512, which is the maximum allowed number of output tokens", {"max_tokens": 512}),
        (400, "max_tokens must be from 1 (inclusive) to 513 (exclusive)", {"max_tokens": 512}),
    ],
)
def test_a_request_is_adapted_to_what_the_model_takes(server: Server, status: int, message: str, sent: dict[str, Any]) -> None:
    server.answer(json.dumps({"error": message}).encode(), status)
    server.answer(completion(FULL))
    assert make_judge(server.url, max_tokens=999, temperature=0.0).judge([ITEM])[0].refusal is Refusal.FULL
    assert {name: server.requests[-1][2].get(name) for name in sent} == sent


def test_a_prompt_that_leaves_too_little_room_changes_no_limit(server: Server) -> None:
    message = "'max_tokens' is too large: 999. This model's maximum context length is 4096 tokens and your request has 400 (999 > 400 - 9)"
    server.answer(json.dumps({"message": message}).encode(), 400)
    assert make_judge(server.url, max_tokens=999).judge([ITEM])[0].detail.startswith("too long")


def reasoning_model(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status and the error of a model that takes neither a temperature nor `max_tokens`."""
    message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    if "max_tokens" in request:
        return 400, {"error": {"message": message, "param": "max_tokens", "code": "unsupported_parameter"}}
    message = "Unsupported value: 'temperature' does not support 0 with this model."
    return 400, {"error": {"message": message, "param": "temperature", "code": "unsupported_value"}}


def test_what_a_model_refuses_is_left_out_and_asked_for_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for request in ({"max_tokens": 1}, {}):
        status, error = reasoning_model(request)
        server.answer(json.dumps(error).encode(), status)
    server.answer(completion(FULL))
    judge = make_judge(server.url, max_tokens=77, temperature=0.0)
    with caplog.at_level(logging.WARNING):
        assert [judge.judge([ITEM])[0].refusal for _ in range(2)] == [Refusal.FULL] * 2
    bodies = [body for _, _, body in server.requests]
    assert [(body.get("max_tokens"), body.get("max_completion_tokens"), body.get("temperature")) for body in bodies] == [
        (77, None, 0.0),
        (None, 77, 0.0),
        (None, 77, None),
        (None, 77, None),
    ]
    assert len(caplog.records) == 2


def test_a_value_that_is_too_large_is_an_error_and_no_reason_to_leave_the_limit_out(server: Server) -> None:
    server.answer(b'{"error": {"message": "max_tokens is too large: 999. This model supports at most 10.", "param": "max_tokens"}}', 400)
    with pytest.raises(JudgeError, match=r"HTTP 400: .*too large"):
        make_judge(server.url).judge([ITEM])


def test_token_limit_and_temperature_can_be_set(server: Server) -> None:
    server.answer(completion(FULL))
    judge = make_judge(server.url, max_tokens=4096, temperature=0.6)
    [verdict] = judge.judge([ITEM])
    [(_, _, body)] = server.requests
    assert (body["max_tokens"], body["temperature"]) == (4096, 0.6)
    assert verdict.judge.startswith("openai@2-t0.6:")
