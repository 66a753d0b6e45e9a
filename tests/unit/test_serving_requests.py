"""What a request may ask, and the clear word on what it may not; who is let in."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from ascl_core.errors import ConfigError
from ascl_core.serving.access import ADMIN_TOKEN, TOKEN, Access, access
from ascl_core.serving.messages import split_system
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import OnUnknown, read_chat
from ascl_core.serving.responses import read_response

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
        ({"tool_choice": "required"}, "tool_choice", "executes the tool loop itself"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"top_p": 1.5}, "top_p", "less than or equal to 1"),
        ({"stop": 7}, "stop", "tuple"),
        ({"top_k": 20}, "top_k", "--on-unknown ignore"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "less than or equal to 20"),
        ({"top_logprobs": 3}, "top_logprobs", "needs logprobs"),
        ({"tools": [{"type": "function"}], "tool_choice": "auto"}, "tools", "--on-unknown ignore"),
        ({"response_format": {"type": "json_object"}}, "response_format", "is not supported"),
        ({"temprature": 1}, "temprature", "did you mean 'temperature'"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"seed": 2**63}, "seed", "less than"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": "Hello"}, "messages", "tuple"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages.0.content", "empty"),
        ({"messages": [{"role": "system", "content": "Be bad"}]}, "messages", "last message"),
        (
            {"messages": [*ASKED["messages"], {"role": "assistant", "tool_calls": [{}]}, *ASKED["messages"]]},
            "messages.1.tool_calls",
            "calls",
        ),
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


NEUTRAL: dict[str, Any] = {
    "top_k": -1,
    "min_p": 0,
    "repetition_penalty": 1.0,
    "chat_template_kwargs": {},
    "tool_choice": "none",
    "parallel_tool_calls": True,
    "stop": "",
    "reasoning_effort": None,
    "frequency_penalty": 0.0,
    "prompt_cache_retention": "24h",
    "logit_bias": {},
    "echo": False,
    "ignore_eos": False,
    "add_generation_prompt": True,
    "continue_final_message": False,
    "include_stop_str_in_output": False,
    "stop_token_ids": [],
    "bad_words": [],
    "typical_p": 1.0,
    "stream_options": {"include_usage": None, "continuous_usage_stats": False},
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_value_without_an_effect_is_accepted_whatever_the_parameter(name: str) -> None:
    assert read_chat(json.dumps({**ASKED, name: NEUTRAL[name]}).encode()).ignored == ()


def test_a_tool_that_may_not_be_called_is_no_tool() -> None:
    read_chat(json.dumps({**ASKED, "tools": [{"type": "function"}], "tool_choice": "none"}).encode())


def test_unknown_parameters_are_ignored_and_named_if_the_operator_says_so() -> None:
    body = {**ASKED, "top_k": 20, "temprature": 1, "ignored": ["x"], "stop": "a"}
    request = read_chat(json.dumps(body).encode(), "ignore")
    assert (request.ignored, request.stop) == (("ignored", "temprature", "top_k"), ("a",))
    body = {**ASKED, "tools": [{"type": "function"}], "tool_choice": "required", "response_format": {"type": "json_object"}}
    assert read_chat(json.dumps(body).encode(), "ignore").ignored == ("response_format", "tool_choice", "tools")


def test_wishes_that_change_no_meaning_are_ignored_and_named() -> None:
    body = {**ASKED, "reasoning_effort": "low", "verbosity": "low", "store": True}
    assert read_chat(json.dumps(body).encode()).ignored == ("reasoning_effort", "store", "verbosity")


def test_wishes_about_a_response_are_those_of_a_chat_completion() -> None:
    body: dict[str, Any] = {"model": "m", "input": "Hello"}
    wishes = {"reasoning": {"effort": "low", "summary": None}, "text": {"format": {"type": "text"}, "verbosity": "low"}}
    assert read_response(json.dumps({**body, **wishes}).encode(), "refuse").ignored == ("reasoning_effort", "verbosity")
    nothing = {"reasoning": {"effort": None}, "text": {"verbosity": None}}
    assert read_response(json.dumps({**body, **nothing}).encode(), "refuse").ignored == ()
    for wish in ({"reasoning": {"effort": "low", "summary": "auto"}}, {"text": {"format": {"type": "json_object"}, "verbosity": "low"}}):
        with pytest.raises(RequestError) as caught:
            read_response(json.dumps({**body, **wish}).encode(), "refuse")
        assert caught.value.field in wish


ANSWERED: dict[str, Any] = {
    "as the server sends it": {"role": "assistant", "content": "Good day", "refusal": None},
    "with thoughts": {"role": "assistant", "content": "Good day", "reasoning_content": "A greeting."},
    "by model_dump": {
        "role": "assistant",
        "content": "Good day",
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "tool_calls": None,
        "provider_specific_fields": {"a": 1},
    },
    "in parts": {"role": "assistant", "content": [{"type": "output_text", "text": "Good day", "annotations": [], "logprobs": []}]},
    "a refusal": {"role": "assistant", "content": None, "refusal": "Good day"},
    "a refusal in parts": {"role": "assistant", "content": [{"type": "refusal", "refusal": "Good day", "annotations": []}]},
    "with thoughts in parts": {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "A greeting.", "signature": "x"},
            {"type": "reasoning", "text": "A greeting."},
            {"type": "text", "text": "Good day"},
        ],
    },
    "of a response": {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": "Good day"},
}


@pytest.mark.parametrize("message", ANSWERED.values(), ids=ANSWERED)
def test_the_server_s_own_answer_is_an_earlier_turn_in_every_form(message: dict[str, Any]) -> None:
    request = read_chat(json.dumps({**ASKED, "messages": [*ASKED["messages"], message, *ASKED["messages"]]}).encode())
    assert [one.text for one in request.messages] == ["Hello", "Good day", "Hello"]


def test_a_response_continues_with_the_items_of_the_last_one() -> None:
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": None, "status": None}
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Good day"}]}
    asked = [{"type": None, **ASKED["messages"][0]}, thought, answer, *ASKED["messages"]]
    body = {"model": "m", "input": asked, "include": ["reasoning.encrypted_content"], "store": False}
    request = read_response(json.dumps(body).encode(), "refuse")
    assert [one.text for one in request.messages] == ["Hello", "Good day", "Hello"]
    with pytest.raises(RequestError, match="only messages can be read, not function_call"):
        read_response(json.dumps({"model": "m", "input": [*asked, {"type": "function_call", "name": "f"}]}).encode(), "refuse")


@pytest.mark.parametrize("store", [{}, {"store": True}, {"store": False}])
@pytest.mark.parametrize("on_unknown", get_args(OnUnknown))
def test_a_response_that_continues_a_stored_one_is_refused_whatever_is_ignored(store: dict[str, Any], on_unknown: OnUnknown) -> None:
    asked = {"model": "release-1", "input": "Hello", **store}
    assert read_response(json.dumps(asked).encode(), on_unknown).ignored == ()
    with pytest.raises(RequestError, match="no response is stored"):
        read_response(json.dumps({**asked, "previous_response_id": "resp_1"}).encode(), on_unknown)


def test_system_messages_are_ignored_appended_or_refused_as_the_operator_chose() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *ASKED["messages"], {"role": "developer", "content": "Be kind."}]
    asked = read_chat(json.dumps({**ASKED, "messages": messages}).encode()).messages
    for on_system in ("ignore", "append"):
        text, others = split_system(asked, on_system)
        assert (text, [one.role for one in others]) == ("Be brief.\n\nBe kind.", ["user"])
    with pytest.raises(RequestError, match="trained with") as caught:
        split_system(asked, "refuse")
    assert caught.value.field == "messages.0.role"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"seed": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match=r"not valid JSON|not a JSON object"):
        read_chat(body)


def test_half_a_surrogate_pair_in_a_name_can_be_sent_back() -> None:
    part = refusal(messages=[{"role": "user", "content": [{"type": "\ud800"}]}])
    item = {"model": "m", "input": [{"type": "\ud800"}]}
    with pytest.raises(RequestError) as caught:
        read_response(json.dumps(item).encode(), "refuse")
    ignored = read_chat(json.dumps({**ASKED, "\ud800": 1}).encode(), "ignore").ignored
    json.dumps([part.to_json(), caught.value.to_json(), ignored], ensure_ascii=False).encode()


def test_text_parts_are_one_text_and_pictures_are_refused() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read_chat(json.dumps({**ASKED, "messages": [{"role": "user", "content": parts}]}).encode()).messages[0].text == "a\nb"
    picture = refusal(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "x"}]}])
    assert (picture.field, "only text can be read, not image_url" in picture.problem) == ("messages.0.content", True)


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
    assert [refused(open_to_others, one) for one in (None, "Bearer wrong", CLIENT, f"Bearer {CLIENT}", f"bearer {ADMIN}")] == [
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
