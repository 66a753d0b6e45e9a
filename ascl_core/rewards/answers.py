"""Whether an answer is right: by its number, its letter, its words or its mathematics; no credit for guesses."""

from __future__ import annotations

import re

from ascl_core.rewards.answer_text import MARKUP, clean
from ascl_core.rewards.choices import extract_choice as extract_choice
from ascl_core.rewards.expressions import means
from ascl_core.rewards.numbers import extract_number as extract_number
from ascl_core.rewards.numbers import is_number, is_percentage
from ascl_core.rewards.numbers import numbers_equal as numbers_equal
from ascl_core.rewards.words import says

ANSWER_KINDS = ("number", "choice", "math", "text")
_FUNCTION = r"(?:pi|sin|cos|tan|log|ln|exp|sqrt|infinity)\b"
_UNIT = r"[^\W\d_α-ω]{1,3}(?:\^\{?-?\d\}?)?"
_WORDS = re.compile(
    rf"(?!{_FUNCTION})(?=[^=^*\\$\d]*$)(?:(?=.*[^\W\d_α-ω]{{2}})[^\W\d_]|[A-Za-z]$)[\w'.,/-]*(?:\s+[\w'.,/-]+)*[.!?]?"
    rf"|(?!{_FUNCTION})(?=.*[^\W\d_]{{3}}|[^\W\d_]{{2}}\.)[^\W\d_][\w'.,-]*(?:\s+[\w'.,-]+)+"
    r"|(?-i:[A-Z][a-z]?\d*(?:[A-Z][a-z]?\d*)+)|[A-Za-z][+#]+|[A-Za-z](?:\.[A-Za-z])+\.?"
    rf"|[-+]?\d[\d.,/]*(?:\s+{_UNIT}(?:/{_UNIT})?|\s*(?:[ap]\.?m|°\s?[CF]|km|cm|mm|m|kg|mg|g|ml|l|km/h|st|nd|rd|th|s|[^\W\d_α-ω]{{3,}}.*))\.?"
    r"|\d+:\d\d?(?::\d\d)?(?:\s?[ap]\.?m\.?)?|\d+(?:-\d+|'\s?\d*\"?)"
    r"|\d{1,4}(?:-\d{1,2}-|/\d{1,2}/|\.\d{1,3}\.)\d{1,4}(?:\.\d{1,3})?(?:[ T]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[-+]\d\d:?\d\d)?)?",
    re.I,
)
"""Words, a formula of chemistry, a quantity with its unit, a time of the day, a date, or a range: what mathematics would misread."""


def verify(answer: str, gold: str, kind: str, choices: str | None = None) -> tuple[bool, bool]:
    """Return whether the answer is right, and whether an answer could be extracted at all.

    `kind` is `number` (if the gold has a `%`, only the same percentage is right, not its fraction), `choice`, `text` (the gold words must
    occur in the last sentence, none of a list of guesses), or `math` (LaTeX, by math-verify).
    """
    if kind == "number":
        value = extract_number(answer)
        return numbers_equal(value, gold) and ("%" not in gold or is_percentage(answer, value)), value is not None
    if kind == "choice":
        letter = extract_choice(answer, choices or "ABCDE")
        return letter is not None and letter == gold.strip().upper(), letter is not None
    if kind == "text":
        return says(answer, gold)
    if whole := MARKUP.fullmatch(gold.strip()):
        gold = whole[1] or gold
    right, read = means(answer, gold)
    return (right, read) if right or not _WORDS.fullmatch(MARKUP.sub(r"\1", gold.strip())) else says(answer, gold)


def kind_of(gold: str, choices: str | None = None) -> str:
    """Return the kind of a gold answer: a letter where there are choices, a single number, words, or else mathematics.

    >>> [kind_of(gold) for gold in ("1,200", "Paris", "x^2 + 1", "7 days")]
    ['number', 'text', 'math', 'text']
    """
    plain = clean(gold).strip()
    if choices and len(plain) == 1 and plain.upper() in choices.upper():
        return "choice"
    if is_number(plain):
        return "number"
    return "text" if _WORDS.fullmatch(plain) else "math"
