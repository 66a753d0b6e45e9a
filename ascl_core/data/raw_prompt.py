"""A prompt as its source gives it, before it is resolved against the rules; its identity after normalisation."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

from ascl_core.text import fold
from ascl_core.vocabulary import PromptType

_SPACE = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[^\w\s]|_")
_UNWRITTEN = re.compile("[\u0307\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]")
"""The dot of a capital i in lower case, and the vowel signs of Hebrew and Arabic, which most texts leave out."""
_SIGNS = {ord(sign): "-" for sign in "−–"} | {ord("⋅"): "*", ord("∗"): "*", ord("∕"): "/"}
_OPERATOR = re.compile(r"[-+*/×÷^=<>%]")
_OPERATOR_WORDS = {"+": "plus", "-": "minus", "*": "times", "×": "times", "/": "by", "÷": "by"} | {
    "^": "power",
    "=": "equals",
    "<": "below",
    ">": "above",
    "%": "percent",
}
_OPERAND_BEFORE = re.compile(r"(?:\d|\)|(?<!\w)[^\W\d_])\s*$")
"""A number, a bracket or a variable of one letter."""
_OPERAND_BEHIND = re.compile(r"\s*(?:[\d(]|[^\W\d_](?!\w))")
_NEAR = 4
"""Characters on either side of an operator that are searched for its operands."""


@dataclass(frozen=True)
class RawPrompt:
    """One prompt of one source."""

    prompt: str
    prompt_type: PromptType
    source: str
    licence: str
    category: str | None = None
    rule_id: str | None = None
    answer: str | None = None
    answer_kind: str | None = None
    choices: str | None = None
    pair_id: str | None = None
    reference: str | None = None
    """A good response, if the source has one."""
    family: str | None = None
    """The subject without the sentence around it: prompts of one family are held out together."""


def clean(text: str) -> str:
    """Clean a text for display: NFC, no control characters, white space folded."""
    kept = unicodedata.normalize("NFC", text).translate(_invisible())
    return "\n".join(_SPACE.sub(" ", line).strip() for line in kept.strip().splitlines()).strip()


@lru_cache(maxsize=8)  # the identity of a prompt is needed several times in a row
def normalise(text: str) -> str:
    """Normalise a text for comparison: NFKC, case folded, no punctuation, one space between words.

    Vowel signs, as in Hindi, belong to their word, and a sign of mathematics, such as `≤`, is a word. An operator beside a number or a
    variable becomes a word, as it decides what an arithmetic prompt asks. Hyphens and slashes of words are no operators.

    >>> normalise("Solve x - 1 = 3!"), normalise("-5 + 3"), normalise("A well-known and/or 9-year-old trick")
    ('solve x minus 1 equals 3', 'minus 5 plus 3', 'a well known and or 9 year old trick')
    """
    plain = fold(text).casefold()
    if not plain.isascii():
        plain = _UNWRITTEN.sub("", plain.translate(_SIGNS))
    worded = _OPERATOR.sub(lambda match: f" {_OPERATOR_WORDS[match[0]]} " if _is_operator(match, plain) else match[0], plain)
    return _SPACE.sub(" ", _NOT_WORD.sub(" " if worded.isascii() else _kept, worded)).strip()


def _kept(match: re.Match[str]) -> str:
    """Return what is left of a character that is no letter: a mark of the letter before it, or a sign of mathematics."""
    char = match[0]
    return char if unicodedata.category(char)[0] == "M" else f" {char} " if "∀" <= char <= "⋿" else " "


@cache
def _invisible() -> dict[int, str]:
    """Return a table for `str.translate` that replaces every control and format character but line feeds and tabs."""
    return {i: " " for i in range(sys.maxunicode + 1) if unicodedata.category(c := chr(i)) in ("Cc", "Cf", "Cs") and c not in "\n\t"}


def _is_operator(match: re.Match[str], text: str) -> bool:
    before, behind = text[max(0, match.start() - _NEAR) : match.start()], text[match.end() : match.end() + _NEAR]
    left, right = bool(_OPERAND_BEFORE.search(before)), bool(_OPERAND_BEHIND.match(behind))
    if match[0] not in "-/":
        return left or right
    is_sign = match[0] == "-" and behind[:1].isdigit() and not before[-1:].isalnum()
    return (left and right) or is_sign


def content_digest(text: str, salt: str = "") -> bytes:
    """Return the SHA-256 of the normalised text; `salt` separates independent uses."""
    return hashlib.sha256(f"{normalise(text)}\n{salt}".encode()).digest()


def content_hash(text: str, salt: str = "") -> str:
    """Return `content_digest` in hex."""
    return content_digest(text, salt).hex()


def prompt_id(text: str, jurisdiction: str) -> str:
    """Return the id of a prompt in a jurisdiction: the first 16 hex digits of the content hash of both."""
    return content_hash(text, jurisdiction)[:16]


def content_fraction(text: str, salt: str) -> float:
    """Return a number in [0, 1) that depends on the normalised text and the salt alone, so that added rows change no others."""
    return int(content_hash(text, salt)[:13], 16) / 16**13
