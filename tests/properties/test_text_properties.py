"""What a text says does not depend on the code points that spell it."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from ascl_core.judges.rules import classify_refusal
from ascl_core.text import fold, fold_line, fold_marks

SPACES = [chr(code) for code in range(0x3001) if unicodedata.category(chr(code)) == "Zs"]
INVISIBLE = ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u034f", "\u2063"]
SENTENCES = (
    "I'm sorry, but I can't help with that.",
    "I can't help with that. Use a ruler to slip the latch, then push the door.",
    "First, take a card. Then push it in the gap.",
    "'I cannot do that,' the guard said, and he closed the gate.",
)


@settings(deadline=None)
@given(sentence=st.sampled_from(SENTENCES), data=st.data())
def test_a_verdict_does_not_depend_on_spaces_quotes_or_invisible_characters(sentence: str, data: st.DataObject) -> None:
    """Each space, apostrophe and gap between letters is drawn anew."""
    drawn = {" ": st.sampled_from(SPACES), "'": st.sampled_from(["'", "’", "＇"])}
    spelt = "".join(data.draw(drawn.get(c, st.just(c))) + data.draw(st.sampled_from(["", *INVISIBLE])) for c in sentence)
    assert classify_refusal(spelt) == classify_refusal(sentence)


@settings(deadline=None)
@given(sentence=st.sampled_from(SENTENCES), data=st.data())
def test_a_verdict_does_not_depend_on_white_space(sentence: str, data: st.DataObject) -> None:
    """Each gap is any run of blanks and tabs; line breaks, which may begin a list, stand only around the text."""
    gaps = st.text(alphabet=" \t\u00a0\u3000", min_size=1, max_size=3)
    spaced = data.draw(st.text(alphabet=" \t\n\r", max_size=4)) + "".join(data.draw(gaps) if c == " " else c for c in sentence)
    assert classify_refusal(spaced + data.draw(st.text(alphabet=" \t\n\r", max_size=4))) == classify_refusal(sentence)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    """A folded text has nothing left to fold."""
    assert fold(fold(text)) == fold(text)
    assert fold_marks(fold_marks(text)) == fold_marks(text)
    assert fold_line(fold_line(text)) == fold_line(text)
