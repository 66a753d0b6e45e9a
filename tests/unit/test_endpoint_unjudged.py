"""Responses that get no verdict of an endpoint: each is unknown and counted, the others are judged, and too many fail."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from ascl_core.config.judge import JudgeConfig
from ascl_core.errors import JudgeError
from ascl_core.judges import Item, get_judge
from ascl_core.vocabulary import Refusal
from tests.chat_server import FULL, Server, completion
from tests.endpoint_judge import ITEM, ending, make_judge, server

__all__ = ["server"]

FILTERED_PROMPT = {"error": {"message": "The prompt was filtered.", "param": "prompt", "code": "content_filter", "status": 400}}
TOO_LONG_PROMPT = {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (400, json.dumps(FILTERED_PROMPT).encode(), "filtered"),
        (403, b'{"error": {"message": "Your input was flagged", "metadata": {"reasons": ["violence"]}}}', "filtered"),
        (200, ending("content_filter"), "filtered"),
        (200, ending("content_filter: SAFETY", None), "filtered"),
        (200, b'{"choices": [{"message": null, "finish_reason": "SAFETY"}]}', "filtered"),
        (200, ending("length"), "truncated"),
        (200, ending("MAX_TOKENS"), "truncated"),
        (200, ending("error"), "interrupted"),
        (200, ending("stop", None), "empty"),
        (200, ending("stop", []), "empty"),
        (200, b'{"choices": []}', "empty"),
        (400, json.dumps(TOO_LONG_PROMPT).encode(), "too long"),
        (413, b"<html>Request Entity Too Large</html>", "too long"),
        (500, b'{"error": {"code": 500, "message": "the request exceeds the available context size", "type": "server_error"}}', "too long"),
    ],
)
def test_one_response_that_gets_no_verdict_is_unknown_and_counted_and_the_others_are_judged(
    server: Server, caplog: pytest.LogCaptureFixture, status: int, body: bytes, problem: str
) -> None:
    server.answer(completion(FULL))
    server.answer(body, status)
    server.answer(completion(FULL))
    judge = make_judge(server.url, attempts=1)
    with caplog.at_level(logging.WARNING):
        verdicts = [judge.judge([ITEM])[0] for _ in range(3)]
    assert [verdict.refusal for verdict in verdicts] == [Refusal.FULL, Refusal.UNKNOWN, Refusal.FULL]
    assert verdicts[1].detail.startswith(problem)
    [record] = caplog.records
    assert f"1 of 1 responses were not judged: 1 {problem}" in record.message


REFUSALS = [
    (400, b'{"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}}'),
    (400, b'{"error": {"message": "<400> Input data may contain inappropriate content.", "code": "data_inspection_failed"}}'),
    (403, b'{"error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE"}'),
    (404, b'{"error": "no such thing"}'),
    (422, b'{"error": "`inputs` must have less than 4095 tokens. Given: 5000", "error_type": "validation"}'),
    (451, b""),
    (400, b"words that no list has"),
    (200, b'{"choices": null}'),
    (200, b'{"promptFeedback": {"blockReason": "SAFETY"}}'),
    (200, b'{"error": {"code": 400, "message": "words that no list has"}}'),
    (200, b"<html>blocked</html>"),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
@pytest.mark.parametrize("first", [True, False])
def test_one_refused_question_is_unknown_in_whatever_words_and_wherever_it_stands(
    server: Server, status: int, body: bytes, first: bool
) -> None:
    server.answer(body if first else completion(FULL), status if first else 200)
    server.answer(completion(FULL) if first else body, 200 if first else status)
    server.answer(completion(FULL))
    verdicts = make_judge(server.url).judge([ITEM] * 3)
    assert sorted(verdict.refusal for verdict in verdicts) == [Refusal.FULL, Refusal.FULL, Refusal.UNKNOWN]


@pytest.mark.parametrize(
    ("unknown", "limit", "fails"), [(2, None, True), (1, None, False), (2, 0.2, False), (1, 0.0, True), (10, 1.0, False)]
)
def test_too_many_unknown_verdicts_fail_the_check_and_all_others_stay_in_the_cache(
    server: Server, tmp_path: Any, unknown: int, limit: float | None, fails: bool
) -> None:
    def answer(request: dict[str, Any]) -> bytes:
        number = int(json.loads(request["messages"][1]["content"])["prompt"])
        return ending("content_filter" if number < unknown else "stop")

    server.answer(answer)
    config = JudgeConfig(name="openai", model="m", base_url=server.url, max_unknown=limit, cache=str(tmp_path / "verdicts.sqlite"))
    judge = get_judge(config)
    items = [Item(str(number), "No.") for number in range(10)]
    judge.judge([*items, Item("empty", " ")])
    if fails:
        with pytest.raises(JudgeError, match=f"{unknown} of 10 responses have no verdict"):
            judge.check()
    else:
        judge.check()
    asked = len(server.requests)
    get_judge(config).judge(items)
    assert len(server.requests) - asked == unknown


def test_a_member_of_an_ensemble_that_knows_nothing_fails_the_check(server: Server) -> None:
    server.answer(ending("length"))
    members = [{"name": "rules"}, {"name": "openai", "model": "m", "base_url": server.url}]
    judge = get_judge(JudgeConfig.model_validate({"name": "ensemble", "members": members, "cache": None}))
    assert judge.judge([ITEM])[0].refusal is Refusal.FULL
    with pytest.raises(JudgeError, match="1 of 1 responses"):
        judge.check()
