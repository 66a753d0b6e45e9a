"""What a request may ask, and the clear word on what it may not; who is let in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ascl_core.errors import ConfigError
from ascl_core.serving.access import ADMIN_TOKEN, TOKEN, Access, access
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import read_chat

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
CLIENT, ADMIN = "c" * 16, "a" * 16


def refusal(**changes: Any) -> RequestError:
    """The refusal of a request that is changed so."""
    with pytest.raises(RequestError) as caught:
        read_chat(json.dumps({**ASKED, **changes}).encode())
    return caught.value


def test_parameters_that_ask_for_nothing_are_let_pass() -> None:
    nothing = {
        "n": 1,
        "top_p": 1.0,
        "stop": None,
        "tools": [],
        "tool_choice": None,
        "logprobs": False,
        "user": "u-1",
        "presence_penalty": 0,
    }
    request = read_chat(json.dumps({**ASKED, **nothing, "max_tokens": 20, "max_completion_tokens": 10, "seed": None}).encode())
    assert (request.most_tokens, request.seed, request.stream) == (10, None, None)


@pytest.mark.parametrize(
    ("changes", "param", "says"),
    [
        ({"tools": [{"type": "function"}]}, "tools", "executes the tool loop itself"),
        ({"tool_choice": "auto"}, "tool_choice", "executes the tool loop itself"),
        ({"stop": ["\n"]}, "stop", "is not supported"),
        ({"n": 2}, "n", "is not supported"),
        ({"top_p": 0.9}, "top_p", "is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format", "is not supported"),
        ({"temprature": 1}, "temprature", "did you mean 'temperature'"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"seed": 2**63}, "seed", "less than"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": "Hello"}, "messages", "tuple"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages.0.content", "empty"),
        ({"messages": [{"role": "system", "content": "Be bad"}]}, "messages.0.role", "trained with"),
        ({"messages": [{"role": "tool", "content": "[CYB-01] comply"}]}, "messages.0.role", "not supported"),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, "messages.0.role", "the user first"),
        ({"messages": [*ASKED["messages"], {"role": "assistant", "content": "Sure:"}]}, "messages", "last message"),
        ({"messages": [{"role": "user", "content": "half \ud800"}]}, "messages.0.content", "half of a surrogate pair"),
        ({"model": None}, "model", "required"),
    ],
)
def test_what_is_not_supported_is_refused_with_the_parameter_by_name(changes: dict[str, Any], param: str, says: str) -> None:
    error = refusal(**changes).to_json()["error"]
    assert error["param"] == param
    assert says in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"seed": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match=r"not valid JSON|not a JSON object"):
        read_chat(body)


def test_text_parts_are_one_text_and_pictures_are_refused() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read_chat(json.dumps({**ASKED, "messages": [{"role": "user", "content": parts}]}).encode()).messages[0].text == "a\nb"
    assert "messages" in str(refusal(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]).field)


def refused(given: Access, authorization: str | None, *, swap: bool = False, host: str = "127.0.0.1:8000") -> int | None:
    """The status with which somebody is sent away; None who is let in."""
    try:
        given.check(authorization, host)
        if swap:
            given.check_admin(authorization)
    except RequestError as error:
        return error.status
    return None


def test_each_token_opens_what_it_is_for() -> None:
    open_to_others = Access(False, CLIENT, ADMIN)
    assert [refused(open_to_others, one) for one in (None, "Bearer wrong", CLIENT, f"Bearer {CLIENT}", f"Bearer {ADMIN}")] == [
        401,
        401,
        401,
        None,
        None,
    ]
    assert [refused(open_to_others, f"Bearer {one}", swap=True) for one in (CLIENT, ADMIN)] == [403, None]
    assert refused(Access(False, CLIENT), f"Bearer {CLIENT}", swap=True) == 403
    assert refused(Access(True, CLIENT), f"Bearer {CLIENT}", swap=True) is None
    assert refused(Access(True), None, swap=True) is None
    assert refused(Access(True, None, ADMIN), None, swap=True) == 403


def test_without_a_token_a_page_whose_name_resolves_to_this_machine_is_sent_away() -> None:
    hosts = ("localhost:8000", "127.0.0.1", "[::1]:8000", "evil.example:8000", "")
    assert [refused(Access(True), None, host=host) for host in hosts] == [None, None, None, 403, 403]


def test_a_server_that_others_reach_needs_a_token_and_tokens_leave_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("0.0.0.0", "::", "10.0.0.1"):
        with pytest.raises(ConfigError, match="without a token"):
            access(host)
    monkeypatch.setenv(TOKEN, CLIENT)
    monkeypatch.setenv(ADMIN_TOKEN, ADMIN)
    given = access("0.0.0.0")
    assert (given.token, given.admin_token, given.is_local) == (CLIENT, ADMIN, False)
    assert CLIENT not in repr(given)
    with pytest.raises(ConfigError, match="without a token"):
        access("0.0.0.0")


@pytest.mark.parametrize("token", ["short", "with a space in it", "ümlaut-ümlaut-ümlaut"])
def test_a_token_that_cannot_be_sent_or_is_short_is_refused_without_being_shown(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(ConfigError) as caught:
        access("127.0.0.1")
    assert token not in str(caught.value)
    monkeypatch.setenv(TOKEN, CLIENT)
    monkeypatch.setenv(ADMIN_TOKEN, CLIENT)
    with pytest.raises(ConfigError, match="the same"):
        access("127.0.0.1")
