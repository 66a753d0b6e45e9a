"""What the server answers can be sent back as an earlier turn, whatever it says and in every form in which an SDK dumps it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from ascl_core.conversation.trajectory import read_rollout
from ascl_core.serving.answers import Answer
from ascl_core.serving.exchange import Outcome, Score
from ascl_core.serving.requests import read_chat
from ascl_core.serving.responses import read_response, response_of

ASKED = {"role": "user", "content": "Hello."}
NEXT = {"role": "user", "content": "Go on."}
said = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
DUMPS: tuple[dict[str, Any], ...] = ({}, {"exclude_none": True}, {"exclude_unset": True}, {"mode": "json"}, {"exclude_defaults": True})


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    """An answer that is whole, cut off, empty, or the fixed refusal."""
    content, is_finished = draw(said), draw(st.booleans())
    scores = tuple(Score(letter, -0.5) for letter in content[:3]) if draw(st.booleans()) else ()
    return Outcome(read_rollout(content, finished=is_finished), content, draw(said), 7, 5, draw(st.booleans()), scores)


def answer(with_thoughts: bool) -> Answer:
    return Answer("ascl", "c" * 64, "release/1", "XA", with_thoughts, fingerprint="f", ignored=("top_k",))


@pytest.mark.parametrize("how", DUMPS, ids=str)
@settings(deadline=None)
@given(outcome=outcomes(), with_thoughts=st.booleans())
def test_a_message_of_a_completion(how: dict[str, Any], outcome: Outcome, with_thoughts: bool) -> None:
    whole = json.loads(json.dumps(answer(with_thoughts).whole([outcome])))
    for message in (whole["choices"][0]["message"], ChatCompletion.model_validate(whole).choices[0].message.model_dump(**how)):
        back = read_chat(json.dumps({"model": "m", "messages": [ASKED, message, NEXT]}).encode())
        assert (back.messages[1].role, back.messages[1].text) == ("assistant", outcome.content)


@pytest.mark.parametrize("how", DUMPS, ids=str)
@settings(deadline=None)
@given(outcome=outcomes(), with_thoughts=st.booleans())
def test_an_item_of_a_response(how: dict[str, Any], outcome: Outcome, with_thoughts: bool) -> None:
    whole = json.loads(json.dumps(response_of(answer(with_thoughts), outcome)))
    for items in (whole["output"], [one.model_dump(**how) for one in Response.model_validate(whole).output]):
        back = read_response(json.dumps({"model": "m", "input": [ASKED, *items, NEXT]}).encode(), "refuse")
        assert (back.messages[1].role, back.messages[1].text) == ("assistant", outcome.content)


@settings(deadline=None)
@given(outcome=outcomes())
def test_the_pieces_of_a_stream_put_together_by_the_reader(outcome: Outcome) -> None:
    chunks = [answer(False).start(), answer(False).end(outcome)]
    delta = {**chunks[0]["choices"][0]["delta"], **chunks[1]["choices"][0]["delta"], "content": outcome.content}
    assert read_chat(json.dumps({"model": "m", "messages": [ASKED, delta, NEXT]}).encode()).messages[1].text == outcome.content
