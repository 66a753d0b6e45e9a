"""Whether an answer means the mathematics of the gold answer: math-verify compares the expression that the answer gives as its own."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Any

from ascl_core.rewards.answer_text import clean
from ascl_core.rewards.numbers import number_given

_SECONDS = 2
_LATEX = dict(
    zip("π∞×·÷∪∩∈±≤≥≠∅°", r"\pi \infty \times \cdot \div \cup \cap \in \pm \leq \geq \neq \emptyset \circ".split(" "), strict=True)  # noqa: SIM905
)
_UNICODE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"√\s*\(([^()]*)\)|√\s*(\w+(?:\.\d+)?)"), lambda m: rf"\sqrt{{{m[1] or m[2]}}}"),
    (re.compile(r"[π∞×·÷∪∩∈±≤≥≠∅°]"), lambda m: f" {_LATEX[m[0]]} "),
    (re.compile(r"(?<!\\)\b(pi|infinity)\b"), lambda m: r"\pi" if m[1] == "pi" else r"\infty"),
)
_MARKED = re.compile(r"\$\$(.+?)\$\$|\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.S)
_BOX = re.compile(r"(\\f?boxed\s*\{)((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)(\})")
_NO_TERM = (
    r"(?!(?:sin|cos|tan|log|exp|sqrt)\b)(?:[^\W\d_α-ω]{3,}|[aAI](?! ?[-+*/^=<>])"
    r"|(?i:is|it|of|or|so|to|we|no|as|at|in|on|by|be|an|if|he|us|my))"
)
_TERM = rf"(?!\S*91\d{{5}})(?![\"'(]*{_NO_TERM}\b)"
_BARE = re.compile(
    rf"(?:(?<=\s)|^){_TERM}(?=\S*[\d^+*/=√π∞\\]|\S{{1,2}}(?: +(?:[-+*/=^<>×·≤≥∈]|\\[a-z])|\s*$)|[A-Za-z]-[A-Za-z]\b)\S+"
    rf"(?: +(?:{_TERM}|\\)\S*[\w^+*/=√π∞(){{}}\[\]<>×·÷±≤≥\\-]\S*)*"
)
_SEVERAL = re.compile(r"[,;]|\b(?:or|and)\b|\\pm|±|\\cup|∪|\\{")
_JOINED = re.compile(r"91\d{5}(?:\s*(?:,|;|\band\b|\bor\b)+\s*(?:\w\s*=\s*)?91\d{5})+")
_LONG_WORD = re.compile(r"(?<![\\A-Za-z])(?!sin|cos|tan|log|exp|sqrt)[^\W\d_]{3}")
_FIRST = 9_100_000
"""The number that stands for the first expression of a text."""


def means(answer: str, gold: str) -> tuple[bool, bool]:
    """Return whether the answer's expression equals the gold one, and whether it has any."""
    text, wanted = clean(answer), clean(gold).strip().strip("$")
    if text.strip(" $.") == wanted and not _LONG_WORD.search(wanted):
        return True, True
    given = _given(text, several=bool(_SEVERAL.search(wanted)))
    if given is None:
        return False, True
    parsed = _parse(f"${_latex(given)}$" if given else text)
    return bool(parsed) and _same(_parse(f"${_latex(wanted)}$"), parsed), bool(parsed)


def _given(text: str, *, several: bool) -> str | None:
    """Return the expression that the text gives as its answer, empty where it has none; None if it guesses or denies.

    A number stands for each expression, so they are read as numbers are: marked, boxed, denied, one of several.
    """
    found: list[str] = []

    def stand_in(content: str) -> str:
        if content not in found:
            found.append(content)
        return str(_FIRST + found.index(content))

    def stand_in_marked(part: re.Match[str]) -> str:
        return part[0] if "boxed" in part[0] else f" {stand_in(next(filter(None, part.groups())).strip())} "

    def stand_in_bare(part: re.Match[str]) -> str:
        core = part[0].strip("\"'*").rstrip(".,;:!?\"'*")
        if core.count(")") > core.count("(") + core.count("["):
            core = core.rstrip(")")
        return part[0].replace(core, stand_in(core), 1) if core else part[0]

    masked = _BOX.sub(lambda box: f"{box[1]}{stand_in(box[2])}{box[3]}", text)
    masked = _MARKED.sub(stand_in_marked, masked)
    masked = re.sub(r" +(?=[ ,.;:])", "", _BARE.sub(stand_in_bare, masked))
    if several and (joined := _JOINED.findall(masked)):
        return ", ".join(found[int(code) - _FIRST] for code in re.findall(r"\d+", joined[-1]))
    number = number_given(masked, derived=True)
    if number is None:
        return None if found else ""
    index = int(number) - _FIRST
    return found[index] if 0 <= index < len(found) else ""


def _latex(text: str) -> str:
    for pattern, written in _UNICODE:
        text = pattern.sub(written, text)
    return text


def _parse(text: str) -> list[Any]:
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # unparsable and endless expressions are content
    return list(parse(text, parsing_timeout=_limit()))


def _same(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    return bool(verify(gold, answer, timeout_seconds=_limit()))


def _limit() -> int | None:
    """Return the seconds that one call may take: its limit is an alarm signal, which only the main thread gets."""
    return _SECONDS if threading.current_thread() is threading.main_thread() else None
