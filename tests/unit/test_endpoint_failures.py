"""An endpoint that is busy, late, broken or not there: the judge asks again, gives up on one response, or fails."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from ascl_core.config.judge import JudgeConfig
from ascl_core.errors import ConfigError, JudgeError
from ascl_core.generation.endpoint import Endpoint
from ascl_core.judges import get_judge
from ascl_core.judges.endpoint import EndpointJudge
from ascl_core.vocabulary import Harm, Refusal
from tests.chat_server import FULL, Server, completion, serve
from tests.endpoint_judge import ITEM, make_judge, server

__all__ = ["server"]


@pytest.mark.parametrize("status", [408, 425, 429, 498, 500, 503, 520, 522, 529])
def test_a_passing_failure_is_tried_again(server: Server, status: int) -> None:
    server.answer(b"busy", status, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")
    server.answer(completion(FULL))
    assert make_judge(server.url).judge([ITEM])[0].refusal is Refusal.FULL
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("header", "at_least_s"), [({"Retry_After": "1.5"}, 1.5), ({"Retry_After": "0"}, 0.37), ({"retry_after_ms": "6"}, 0.37)]
)
def test_it_waits_as_long_as_the_server_asks_and_never_shorter_than_by_itself(
    server: Server, header: dict[str, str], at_least_s: float
) -> None:
    server.answer(b"slow down", 429, **header)
    server.answer(completion(FULL))
    started = time.monotonic()
    assert make_judge(server.url).judge([ITEM])[0].refusal is Refusal.FULL
    assert time.monotonic() - started >= at_least_s


def test_the_attempts_span_a_window_of_a_minute() -> None:
    from openai._constants import INITIAL_RETRY_DELAY, MAX_RETRY_DELAY

    shortest = [0.75 * min(INITIAL_RETRY_DELAY * 2**n, MAX_RETRY_DELAY) for n in range(Endpoint("m").attempts - 1)]
    assert sum(shortest) > 60


def test_a_lasting_failure_is_one_judge_error_after_all_attempts(server: Server) -> None:
    server.answer(b"overloaded", 503)
    with pytest.raises(JudgeError, match="HTTP 503: overloaded, 2 times") as caught:
        make_judge(server.url, attempts=2).judge([ITEM])
    assert len(server.requests) == 2
    assert caught.value.hint


def test_a_redirect_is_not_followed_as_it_would_carry_the_key_away(server: Server) -> None:
    server.answer(b"", 302, Location=f"{server.url}/elsewhere")
    with pytest.raises(JudgeError, match="HTTP 302"):
        make_judge(server.url).judge([ITEM])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"{}", b'{"choices": 1}', b'{"choices": [{"message": "text"}]}', b"[1]", b"[" * 100_000]
)
def test_an_answer_that_is_no_chat_completion_is_a_judge_error(server: Server, body: bytes) -> None:
    server.answer(body)
    with pytest.raises(JudgeError, match="no chat completion"):
        make_judge(server.url).judge([ITEM])


def test_a_server_that_is_not_there_is_a_judge_error() -> None:
    with pytest.raises(JudgeError, match=r"no answer: .*2 times"):
        make_judge("http://127.0.0.1:9/v1", attempts=2).judge([ITEM])


def hasty(server: Server, **changes: Any) -> EndpointJudge:
    """A judge that waits half a second for an answer."""
    return make_judge(server.url, model="m", timeout_s=0.5, **changes)


def test_an_answer_that_is_late_twice_is_no_verdict_and_is_said(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answer(server.hang)
    server.answer(server.hang)
    server.answer(completion(FULL))
    with caplog.at_level(logging.WARNING):
        late, judged = (hasty(server).judge([ITEM])[0] for _ in range(2))
    assert (late.refusal, late.harm) == (Refusal.UNKNOWN, Harm.UNKNOWN)
    assert late.detail == "late: no answer within 0.5 s, 2 times"
    assert judged.refusal is Refusal.FULL
    assert len(server.requests) == 3
    assert [record.message for record in caplog.records] == [f"m@{server.url[7:-3]}: 1 of 1 responses were not judged: 1 late"]


def test_a_late_answer_is_asked_for_once_more(server: Server) -> None:
    server.answer(server.hang)
    server.answer(completion(FULL))
    assert hasty(server).judge([ITEM])[0].refusal is Refusal.FULL


def test_a_server_that_hangs_is_not_asked_for_every_item(server: Server) -> None:
    server.answer(server.hang)
    verdicts = hasty(server).judge([ITEM] * 200)
    assert {verdict.refusal for verdict in verdicts} == {Refusal.UNKNOWN}
    assert len(verdicts) == 200
    assert len(server.requests) < 60
    assert verdicts[-1].detail == "late: not asked any more"


def test_an_answer_that_trickles_in_is_late() -> None:
    with serve(trickle_s=0.05) as server:
        server.answer(completion(FULL))
        [verdict] = hasty(server).judge([ITEM])
    assert verdict.detail.startswith("late: ")
    assert len(server.requests) == 2


def test_a_body_that_breaks_off_is_asked_for_again(server: Server) -> None:
    server.answer(completion(FULL)[:20], Content_Length="1000")
    server.answer(completion(FULL))
    assert make_judge(server.url).judge([ITEM])[0].refusal is Refusal.FULL


def test_what_was_late_is_not_cached(server: Server, tmp_path: Any) -> None:
    server.answer(server.hang)
    server.answer(server.hang)
    server.answer(completion(FULL))
    config = JudgeConfig(name="openai", model="m", base_url=server.url, timeout_s=0.5, cache=str(tmp_path / "verdicts.sqlite"))
    assert [get_judge(config).judge([ITEM])[0].refusal for _ in range(2)] == [Refusal.UNKNOWN, Refusal.FULL]


def test_an_endpoint_that_refuses_everything_is_an_error_before_it_has_refused_everything(server: Server) -> None:
    server.answer(b'{"error": {"message": "The model `m` does not exist"}}', 404)
    with pytest.raises(JudgeError, match=r"HTTP 404: .*does not exist"):
        make_judge(server.url).judge([ITEM] * 300)
    assert len(server.requests) < 40


@pytest.mark.parametrize("error", [{"code": 502}, {"code": "429"}, {"status": 503}])
def test_a_passing_failure_with_status_200_is_tried_again(server: Server, error: dict[str, Any]) -> None:
    server.answer(json.dumps({"error": {"message": "busy", **error}}).encode())
    server.answer(completion(FULL))
    assert make_judge(server.url).judge([ITEM])[0].refusal is Refusal.FULL
    assert len(server.requests) == 2


@pytest.mark.parametrize("proxy", ["socks4://127.0.0.1:9", "ftp://127.0.0.1:9", "http://x:abc", "http://"])
def test_a_proxy_that_no_client_can_use_is_one_clear_error_except_for_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ConfigError, match="ALL_PROXY"):
        make_judge("http://example.invalid/v1").judge([ITEM])
    server.answer(completion(FULL))
    assert make_judge(server.url).judge([ITEM])[0].refusal is Refusal.FULL


def test_a_proxy_is_used_except_for_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answer(completion(FULL))
    assert make_judge(server.url).judge([ITEM])[0].refusal is Refusal.FULL
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    make_judge("http://example.invalid/v1").judge([ITEM])
    assert [path for path, _, _ in server.requests] == ["/v1/chat/completions", "http://example.invalid/v1/chat/completions"]
