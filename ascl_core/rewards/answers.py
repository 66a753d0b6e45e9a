"""Reading the final answer out of free text, and comparing it; no credit for guesses."""

from __future__ import annotations

import logging
import re
import threading
from fractions import Fraction

Number = Fraction
"""Numbers are exact: `0.1 + 0.2` and `3/10` are the same answer."""

_NUMERAL = r"[-+−–]?\s?[$€£]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+]?\d{1,4})?(?:\s?/\s?\d+(?:\.\d+)?)?\s?%?"
_ANY_NUMBER = re.compile(rf"(?<![\w.])(?:{_NUMERAL})(?![\w/]*\d)")
_FRAC = re.compile(r"([-−]?)\s*\\[dt]?frac\s*\{?\s*(-?\d+)\s*\}?\s*\{?\s*(\d+)\s*\}?")
_MIXED = re.compile(r"(?<![\w.,/])(\d+)\s+(\d+)\s?/\s?(\d*[1-9]\d*)(?![\w./])")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_MARKER = re.compile(
    r"####|(?:final |correct |my )?answer\s*(?:is|:|=|would be|was)+\s*:?"
    r"|\b(?:therefore|thus|hence|so|in total|total)\b[^.\n]*?(?:=|\bis\b|\bare\b)",
    re.I,
)
_THOUGHT = re.compile(r"^.*</think>", re.DOTALL)
_MATH_SECONDS = 2


def extract_number(text: str) -> Fraction | None:
    r"""The number that the text gives as its answer, or None.

    In order: the last `\boxed{}`, what follows the last `####` or "the answer is", else the last number in the text.

    >>> extract_number("3 + 4 = 7, so she has $1,234.50 left. #### 1,234.50")
    Fraction(2469, 2)
    >>> extract_number("no number here") is None
    True
    """
    text = _clean(text)
    if boxed := _BOXED.findall(text):
        return _last_number(boxed[-1])
    markers = list(_MARKER.finditer(text))
    for marker in reversed([m for m in markers if m[0] == "####" or "answer" in m[0].lower()]):
        first_line = text[marker.end() :].strip().split("\n")[0]
        if (value := _first_number(first_line)) is not None:
            return value
    return _last_number(text)


def numbers_equal(a: object, b: object, tolerance: float = 1e-9) -> bool:
    """Whether two numbers (or texts of numbers) are equal, exactly or to a relative tolerance; None equals nothing.

    >>> numbers_equal("1,000", 1000) and numbers_equal("3/4", 0.75) and not numbers_equal(None, None)
    True
    """
    x, y = _number(a), _number(b)
    if x is None or y is None:
        return False
    return x == y or abs(x - y) <= Fraction(tolerance) * max(abs(x), abs(y))


def extract_choice(text: str, letters: str) -> str | None:
    """The one letter that the text chooses, or None where it chooses none or more than one.

    A letter counts where it is marked as an answer ("the answer is (C)", `\\boxed{C}`, "**C**", "C)" opening a line) or
    stands alone; the article "A" and the pronoun "I" in a sentence do not count.

    >>> extract_choice("I think a bird is A good guess, but the answer is (C).", "ABCD")
    'C'
    >>> extract_choice("It is A or B.", "ABCD") is None
    True
    """
    text = _clean(text).strip()
    letter = f"[{re.escape(letters.upper() + letters.lower())}]"
    if boxed := re.findall(rf"\\boxed\s*\{{\s*(?:\\text\s*\{{)?\s*\(?({letter})\b", text):
        return boxed[-1].upper()
    if re.fullmatch(rf"\W*({letter})\W*", text):
        return re.sub(r"\W", "", text).upper()
    lead = r"(?:answer|choice|option|select|choose|pick)\b(?:\s+(?:is|was|would be|option|choice|letter|must be|should be))*\s*[:=]?\s*"
    strong = rf"{lead}[*_`(\[\"']{{0,4}}({letter})(?!\w|['’]\w)"
    found = [m for m in re.finditer(strong, text, re.I) if not _is_word(m, text)]
    if found:
        alternatives = re.match(rf"[\s*_`)\].,]*(?:or|and|/)\s*[*_`(\[]{{0,3}}({letter})\b", text[found[-1].end() :], re.I)
        return None if alternatives and alternatives[1].upper() != found[-1][1].upper() else found[-1][1].upper()
    upper = f"[{re.escape(letters.upper())}]"
    if re.search(rf"\b({upper})\s*(?:or|and|/)\s*(?!\1)({upper})\b", text):
        return None
    text = re.sub(rf"(?:^|[\s(*])({upper})[)*]* (?:is|are) (?:not|never|wrong|incorrect|false)\b", " ", text)
    patterns = (
        rf"\b({upper})[)*]* (?:is|must be|would be) (?:the )?(?:\w+ )?(?:correct|right|answer|choice|option)\b",
        rf"\*\*\(?({upper})\b[^*\n]*\*\*",
        rf"(?:^|\n)\s*\(?({upper})[).:](?:\s|$)",
        rf"\(({upper})\)",
        rf"(?:^|[\n:=,;]|\b(?:is|be|with|for|say|so|thus|hence|therefore))\s*({upper})\W*$",
    )
    for pattern in patterns:
        chosen = {match.upper() for match in re.findall(pattern, text)}
        if len(chosen) == 1:
            return chosen.pop()
        if len(chosen) > 1:
            return None
    return None


def verify(answer: str, gold: str, kind: str, choices: str | None = None) -> tuple[bool, bool]:
    """Whether the answer is right, and whether an answer could be extracted at all.

    `kind` is `number`, `choice`, `text` (the gold words must occur in the last sentence, none of a list of guesses), or
    `math` (LaTeX, by math-verify).
    """
    if kind == "number":
        value = extract_number(answer)
        return numbers_equal(value, gold), value is not None
    if kind == "choice":
        letter = extract_choice(answer, choices or "ABCDE")
        return letter is not None and letter == gold.strip().upper(), letter is not None
    if kind == "text":
        said = re.findall(r"[\w'-]+", _final_clause(_clean(answer)).casefold())
        wanted = re.findall(r"[\w'-]+", gold.casefold())
        right = any(said[i : i + len(wanted)] == wanted for i in range(len(said))) and "or" not in said
        return right, bool(said)
    return _verify_math(answer, gold)


def _verify_math(answer: str, gold: str) -> tuple[bool, bool]:
    from math_verify import parse
    from math_verify import verify as same

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # unparsable and endless expressions are content
    # Its limit is an alarm signal, which only the main thread gets; `9^{9^{9}}` would take for ever without.
    limit = _MATH_SECONDS if threading.current_thread() is threading.main_thread() else None
    parsed = parse(_clean(answer), parsing_timeout=limit)
    right = bool(parsed) and bool(same(parse(f"${gold}$", parsing_timeout=limit), parsed, timeout_seconds=limit))
    return right, bool(parsed)


def _is_word(match: re.Match[str], text: str) -> bool:
    """Whether the letter is the article or pronoun of a sentence: `the answer is a bird`."""
    return bool(match[1] in "aAiI" and match[1].islower() and re.match(r"\s+[a-z]", text[match.end() :]))


def _final_clause(text: str) -> str:
    markers = [m for m in _MARKER.finditer(text) if "answer" in m[0].lower() or m[0] == "####"]
    if markers:
        return text[markers[-1].end() :].strip().split("\n")[0]
    sentences = [s for s in re.split(r"[.!?\n]+", text) if s.strip()]
    return sentences[-1] if sentences else ""


def _clean(text: str) -> str:
    return _THOUGHT.sub("", text).replace("−", "-").replace("–", "-").replace("\u00a0", " ").replace("\u202f", " ")


def _numbers(text: str) -> list[Fraction]:
    text = (
        _FRAC.sub(lambda m: f" {m[1]}{m[2]}/{m[3]} ".replace("--", ""), text)
        .replace("\\$", "$")
        .replace("\\%", "%")
        .replace("{,}", ",")
        .replace("\\,", "")
    )
    text = _MIXED.sub(lambda m: f"{int(m[1]) * int(m[3]) + int(m[2])}/{m[3]}", text)
    found = []
    for match in _ANY_NUMBER.finditer(text):
        token = match[0]
        # A sign behind a digit or a bracket, or between two spaces, is an operation: "10 - 3", "x-3", "x - 3", but not "is -3".
        before, signed = text[: match.start()], token.lstrip()
        behind_letter = r"[^\W\d]\s*$" if re.match(r"[-+]\s", signed) else r"[^\W\d]$"
        if signed[:1] in ("+", "-") and re.search(rf"[\d)\]%]\s*$|{behind_letter}", before):
            token = signed[1:]
        if (value := _parse(token)) is not None:
            found.append(value)
    return found


def _first_number(text: str) -> Fraction | None:
    """The number right of an equals sign where there is one, else the first."""
    numbers = _numbers(text.rsplit("=", 1)[-1]) if "=" in text else _numbers(text)
    return numbers[0] if numbers else None


def _last_number(text: str) -> Fraction | None:
    numbers = _numbers(text)
    return numbers[-1] if numbers else None


def _number(value: object) -> Fraction | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        numbers = _numbers(value)
        return numbers[0] if len(numbers) == 1 else extract_number(value)
    try:
        return Fraction(value)  # type: ignore[call-overload, unused-ignore]
    except (TypeError, ValueError, OverflowError):
        return None


def _parse(token: str) -> Fraction | None:
    plain = re.sub(r"[\s,$€£]", "", token)
    plain = plain.rstrip("%")
    try:
        top, _, bottom = plain.partition("/")
        return Fraction(top) / Fraction(bottom) if bottom else Fraction(top)
    except (ValueError, ZeroDivisionError):
        return None
