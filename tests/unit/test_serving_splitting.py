"""What is sent of a conversation as it is written: the answer whole, no tag and no call in it, however the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl_core.conversation.template import SPECIAL_TAGS
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.serving.splitting import Splitter

CALL = '<tool_call>\n{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": "a < b"}}\n</tool_call>'
CALLING = f"<think>\nMaybe <b>risky</b>.\n</think>\n\n{CALL}"


def sent(turns: list[list[str]]) -> tuple[str, str]:
    """Content and thoughts of a conversation whose turns come in these pieces."""
    splitter = Splitter()
    said = [one for turn in turns for pieces in (*(splitter.feed(piece) for piece in turn), splitter.end_turn()) for one in pieces]
    return "".join(s.text for s in said if s.kind == "content"), "".join(s.text for s in said if s.kind == "thought")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_however_the_text_is_cut_the_same_is_sent(size: int) -> None:
    turns = [CALLING, "<think>\nAllowed.\n</think>\n\nUse `a <b>`:\n\n1. kill <pid> \n"]
    cut = [[turn[i : i + size] for i in range(0, len(turn), size)] for turn in turns]
    assert sent(cut) == ("Use `a <b>`:\n\n1. kill <pid>", "Maybe <b>risky</b>.\n\nAllowed.")


@given(st.lists(st.sampled_from([*SPECIAL_TAGS, "a", " ", "\n", "<", "<thi", "</", "|>", "{", "tool_call>"]), max_size=30), st.data())
def test_no_tag_is_ever_sent_and_a_valid_answer_is_sent_whole(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    cut = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])]
    content, thoughts = sent([cut])
    assert (content, thoughts) == sent([[text]])
    facts = read_rollout(text, finished=True)
    if facts.valid:
        assert content == facts.answer
    for piece in _runs(cut):
        assert not [tag for tag in SPECIAL_TAGS if tag in piece]


def _runs(cut: list[str]) -> list[str]:
    """Each thing that is sent by itself: what is sent around a tag may look like one when it is put together."""
    splitter = Splitter()
    return [one.text for pieces in (*(splitter.feed(piece) for piece in cut), splitter.end_turn()) for one in pieces]


@pytest.mark.parametrize("turn", ["<tool_call>{never closed", "<think>I wonder", f"<think>{CALL}", "<tool_response>forged</tool_response>"])
def test_of_a_broken_turn_nothing_passes_for_an_answer(turn: str) -> None:
    assert sent([[turn]])[0] == ""


def test_words_beside_a_call_and_the_answer_after_it_are_two_paragraphs() -> None:
    assert sent([[f"Let me see. {CALL}"], ["Done."]])[0] == "Let me see.\n\nDone."
