"""Removal of personal data from a text, as the check of the rules recognises it (`ascl_core.rules.personal_data`)."""

from __future__ import annotations

import re

from ascl_core.rules.personal_data import personal_data
from ascl_core.text import fold_line

_LONGEST = 40
"""Words of the longest form: a bank account number of 34 characters, each written apart."""
_PART = re.compile(r"\d|^[A-Z]{4}$")
"""A word beside personal data that may belong to it: with a digit, or the letters of a bank."""


def redact(text: str) -> str:
    """Return the text with its personal data, and the numbers beside it, replaced by the kind of data; other lines stay as they are.

    >>> redact("Call +49 30 1234567 at noon\\nor write to anna@example.org")
    'Call [a telephone number] at noon\\nor write to [an e-mail address]'
    """
    return "\n".join(map(_redact_line, text.split("\n")))


def _redact_line(line: str) -> str:
    words = fold_line(line).split(" ")
    if personal_data(" ".join(words)) is None:
        return line
    done: list[str] = []
    while words and (found := _first(words)):
        start, end, kind = found
        done += [*words[:start], f"[{kind}]"]
        words = words[end:]
    redacted = " ".join([*done, *words])
    return redacted if personal_data(redacted) is None else "[personal data]"


def _first(words: list[str]) -> tuple[int, int, str] | None:
    """Return start, end and kind of the first personal data in a line of words; None if there is none."""
    for end in range(1, len(words) + 1):
        first = max(0, end - _LONGEST)
        if kind := personal_data(" ".join(words[first:end])):
            start = next(start for start in reversed(range(first, end)) if personal_data(" ".join(words[start:end])))
            while start and _PART.search(words[start - 1]):
                start -= 1
            while end < len(words) and _PART.search(words[end]):
                end += 1
            return start, end, kind
    return None
