"""Reading the number that an answer gives; no credit for guesses."""

from __future__ import annotations

import re
from fractions import Fraction

from ascl_core.rewards.answer_text import BESIDE, CURRENCY, boxed, clean
from ascl_core.rewards.guesses import AND, ANSWERS_OFFERED, DENIED, HEDGE, HEDGED, NOT_RIGHT, OR, SENTENCE, stated

NUMERAL = (
    rf"[-+]?\s?[{CURRENCY}]?\s?(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+]?\d{{1,4}})?(?:\s?/\s?\d+(?:\.\d+)?)?"
    r"(?:\s?%|\s(?:thousand|million|billion|trillion)\b|\s[万萬만億亿억])?"
)
_ANY_NUMBER = re.compile(rf"(?<![\w.])(?<!\d:)(?:{NUMERAL})(?![\w/]{{0,20}}\d|:\d)", re.I)
_SCALE = (
    {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    | dict.fromkeys("万萬만", 10**4)
    | dict.fromkeys("億亿억", 10**8)
)
_FRAC = re.compile(r"(?:(?<!\d)(\d+)\s?)?\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_MIXED = re.compile(r"(?<![\w.,/])(\d+)\s+(\d+)\s?/\s?(\d*[1-9]\d*)(?![\w/]|\.\d)")
_GROUPS = (
    (re.compile(r"(?<![\d.,])\d{1,3}(?:'\d{3})+(?!\d)"), "'"),
    (re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"), ","),
    (re.compile(r"(?<![\w.,])\d{1,3}(?:\.\d{3}){2,}(?!\d|[.,]\d)"), "."),
    (re.compile(r"(?<![\d.,/:] )(?<![\d.,/])(?:\d{1,2}(?: \d{3})+|\d{3}(?: 000)+)(?![\d/]| \d)"), " "),
)
"""Digits that are not grouped by commas in threes, and the separator of the groups. `100 200 300` are three numbers."""
_CONTINENTAL = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d+(?!\d)")
_DECIMAL_COMMA = re.compile(r"(?<![\w.,(\[{])(?:\d+,\d{1,2}|0,\d{3,})(?![\d,)\]}]|\.\d)")
_SPACING = re.compile(r"\\(?:[,!]|left|right)")
_SUFFIXES = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}
_AMOUNT = re.compile(rf"([{CURRENCY}]\s?\d[\d,.]*)([kKMB]|bn)\b(?!\s*[-+=*/^$<>])")
_UNIT_POWER = re.compile(r"(\\(?:text|mathrm)\s*\{[^{}]*\}|[^\W\d_])\s*\^\s*(?:\{\s*-?\d+\s*\}|-?\d)")
_TIMES_TEN = re.compile(r"(?<=\d)\s*(?:\\times|\\cdot|[×x*·])\s*10\s*\^\s*(?:\{\s*([-+]?\d{1,3})\s*\}|([-+]?\d{1,3}))")
_POWER = re.compile(r"(?<![\w.])(\d{1,6})\s*\^\s*(?:\{\s*(-?\d{1,3})\s*\}|(-?\d{1,3}))(?!\d)")
_NEGATIVE = re.compile(rf"(?<!\d )\b(?:negative|minus)\s+(?=[{CURRENCY}]?\d)", re.I)
_BOUND = (
    r"(?:\b(?:more|less|fewer|greater|larger|bigger|smaller|higher|lower|better) than|\b(?:over|under|above|below|beyond"
    r"|exceed(?:s|ing)?)|超过|超過|多于|大于|少于|小于|más de|menos de|mehr als|weniger als|plus de|moins de|(?<![-=])[<>≤≥])"
)
_REJECTED = re.compile(rf"(?:{DENIED}|{_BOUND})\s*(?:{NUMERAL})(?!\w)|(?<![\w.,])\d++(?:[.,]\d++)*+ ?{NOT_RIGHT}", re.I)
_ITEM = rf"[{CURRENCY}]?\d++(?:,\d{{3}}(?!\d))*+(?:\.\d++)?%?"
_AND = rf"(?:\s*[,;|&]\s*(?:(?:{AND}|{OR})\s+)?|\s+(?:{AND}|{OR})\s+)"
_SERIES = re.compile(rf"\W*{_ITEM}(?:{_AND}{_ITEM})+\W*", re.I)
_SERIES_AT_END = re.compile(rf"(?<![\w.,{CURRENCY}]){_ITEM}(?:{_AND}{_ITEM}){{2,}}+\W*$", re.I)
"""`3, 4, 5`: one of them may be right. After other words two may be a date or an apposition."""
_GUESSED = rf"(?<![\w.,/:^{CURRENCY}])[{CURRENCY}]?(\d+(?:,\d{{3}})*(?:\.\d+)?)"
_GUESSED_TOO = rf"[{CURRENCY}]?(\d+(?:,\d{{3}})*(?:\.\d+)?)(?![\w/%^]|[.,]\d|\s?[*×+=^]\s?\w| \d+/)"
_EITHER = re.compile(rf"{_GUESSED}\**[,;]? (?:{OR}|maybe|possibly|perhaps) (?:{HEDGE} ){{0,3}}\**{_GUESSED_TOO}", re.I)
_RANGE = re.compile(rf"{_GUESSED}(?: (?:to|till|until|through|a|bis|à|至|到|から) | ?~ ?| ?\.{{2,3}} ?|…|-){_GUESSED_TOO}", re.I)
_BETWEEN = re.compile(r"\bbetween [^a-z.]{0,20}\d[^a-z.]{0,20} and [^a-z.]{0,9}\d", re.I)
_CHANGE = re.compile(
    r"\b(?:from|up|down|went|goes|rose|grew|fell|(?:round|ris|grow|increas|decreas|drop|fall|reduc|simplif|convert|chang|compar"
    r"|add|equal)\w*)\b",
    re.I,
)
"""`from 27 to 30` and `rounds 27 to 30` come to 30; `27 to 30` is a range."""
_SO = re.compile(r"\b(?:but|so|thus|hence|therefore)\b", re.I)
_ONLY_NUMBERS = re.compile(r"[\d\s.,;/|&?!]+")
MARKER = re.compile(
    r"####|\b(?:final |correct |my )?answer\b[\s*_]*(?:(?:is|:|=|would be|should be|must be|was|comes to)+\s*:?|(?<=\n))", re.I
)
_IS_THE_ANSWER = re.compile(rf"(?<![\w.])({NUMERAL})[^\s\d]{{0,3}} is (?:the|my) (?:\w+ )?answer\b", re.I)
_BOLD = re.compile(r"\*\*([^*\n]*\d[^*\n]*)\*\*")
_QUANTITY = re.compile(rf"({NUMERAL})\W*((?:[^\W\d]+\W*){{0,2}})", re.I)
_PERCENTAGE = re.compile(rf"({NUMERAL})(?:(?<=%)|\s?(?:per ?cent|pct|%|\\%))", re.I)
_MAX_DIGITS = 1000
_MARKERS, _LINE = 20, 500
"""The number of marked answers, from the end, that are read, and of characters after each: what is longer is no answer."""


def extract_number(text: str) -> Fraction | None:
    r"""Return the number that the text gives as its answer, or None.

    In order: the last `\boxed{}`, what follows the last `####` or "the answer is", else the last number in bold in the last
    sentence with a number, else the last number. `3 or 4`, `3 to 4` and `between 3 and 4` are guesses and give None.

    >>> extract_number("3 + 4 = 7, so she has $1,234.50 left. #### 1,234.50")
    Fraction(2469, 2)
    >>> extract_number("no number here") is None
    True
    """
    return number_given(text)


def number_given(text: str, *, derived: bool = False) -> Fraction | None:
    """Return the number that the text gives as its answer, as `extract_number` does.

    With `derived`, several lines or sentences that are each nothing but a number are steps that lead to the last one, not guesses: there
    the numbers stand for expressions.
    """
    text = clean(text)
    if (content := boxed(text)) is not None:
        return None if _is_guess(content, marked=True) else _last_number(content)
    if _spread_guess(text, derived=derived):
        return None
    for marker in list(MARKER.finditer(text))[: -_MARKERS - 1 : -1]:
        line = text[marker.end() : marker.end() + _LINE].strip().split("\n")[0]
        if _is_guess(_first_sentence(line), marked=True):
            return None
        if (value := _first_number(line)) is not None:
            return value
    if named := list(_IS_THE_ANSWER.finditer(text)):
        guess = _is_guess(text[max(0, named[-1].start() - BESIDE) : named[-1].end(1)], marked=False)
        return None if guess else _last_number(named[-1][1])
    last = _last_sentence(text)
    if _is_guess(last, marked=False):
        return None
    bold = _BOLD.findall(last)
    return _last_number(bold[-1] if bold else text)


def is_number(text: str) -> bool:
    """Return whether the text is a number and nothing else; `1,5` may also be two."""
    return not _DECIMAL_COMMA.search(text) and bool(re.fullmatch(NUMERAL, _plain_numerals(text).strip(), re.I))


def is_percentage(text: str, value: Fraction | None) -> bool:
    """Return whether the text gives the number as a percentage."""
    return any(_parse(found[1]) == value for found in _PERCENTAGE.finditer(_plain_numerals(clean(text))))


def numbers_equal(a: object, b: object, tolerance: float = 1e-9) -> bool:
    """Return whether two numbers (or texts of numbers) are equal, exactly or to a relative tolerance; None equals nothing.

    >>> numbers_equal("1,000", 1000) and numbers_equal("3/4", 0.75) and not numbers_equal(None, None)
    True
    """
    x, y = _number(a), _number(b)
    if x is None or y is None:
        return False
    return x == y or abs(x - y) <= Fraction(tolerance) * max(abs(x), abs(y))


def _first_sentence(text: str) -> str:
    return re.split(r"[.!?](?:\s|$)", text, maxsplit=1)[0]


def _last_sentence(text: str) -> str:
    """Return the last sentence with a digit."""
    sentences = [s for s in re.split(r"[.!?](?:\s|$)|\n", text) if re.search(r"\d", s)]
    return sentences[-1] if sentences else ""


def _is_guess(sentence: str, *, marked: bool) -> bool:
    """Return whether more than one number is offered: of a marked answer the first counts, else the last."""
    sentence = re.sub(r"\s+", " ", sentence)
    series = _SERIES.fullmatch(sentence) if marked else _SERIES_AT_END.search(sentence[-_LINE:])
    if series and len(set(_numbers(series[0]))) > 1:
        return True
    concluded = _SO.split(sentence)[-1]
    if (ANSWERS_OFFERED.search(concluded) or len(HEDGED.findall(concluded)) > 1) and len(set(_numbers(concluded))) > 1:
        return True
    if _BETWEEN.search(sentence) or any(_differ(match) for match in _EITHER.finditer(sentence)):
        return True
    for match in _RANGE.finditer(sentence):
        before, after = sentence[: match.start()], sentence[match.end() :]
        counts = not re.search(r"\d", before) if marked else not (re.search(r"\d", after) or _CHANGE.search(before))
        if counts and _differ(match):
            return True
    return False


def _spread_guess(text: str, *, derived: bool) -> bool:
    """Return whether several numbers are offered one after the other, over sentences or as a bare list."""
    if _ONLY_NUMBERS.fullmatch(text):
        return not (derived and "\n" in text) and len(set(_numbers(text))) > 1
    with_number = [sentence for sentence in SENTENCE.findall(text) if re.search(r"\d", sentence)]
    hedged = [sentence for sentence in with_number if HEDGED.search(sentence.strip())]
    if hedged and hedged[-1] is with_number[-1] and len({_last_number(sentence) for sentence in hedged}) > 1:
        return True
    form, values = stated(text, _stated_value)
    if form == "bare" and (derived or stated(with_number[-1] if with_number else "", _stated_value)[1] != values[-1:]):
        return False
    return len({*values}) > (2 if form == "bare" else 1)


def _stated_value(text: str) -> tuple[str, Fraction] | None:
    """Return the number and its unit of a text that is nothing else."""
    found = _QUANTITY.fullmatch(_plain_numerals(text).strip())
    value = _parse(found[1]) if found else None
    return None if found is None or value is None else (found[2].lower(), value)


def _differ(match: re.Match[str]) -> bool:
    return not numbers_equal(match[1], match[2])


def _plain_numerals(text: str) -> str:
    """Return the text with its LaTeX, fractions, powers and groups of digits written as plain numerals."""
    text = _SPACING.sub("", text.replace("\\$", "$").replace("\\%", "%").replace("{,}", ",").replace("\\ ", " "))
    text = _AMOUNT.sub(lambda m: f"{m[1]} {_SUFFIXES[m[2].lower()]}", text)
    text = _FRAC.sub(_plain_fraction, text)
    text = _TIMES_TEN.sub(lambda m: f"e{m[1] or m[2]}", text)
    text = _UNIT_POWER.sub(r"\1 ", text)
    text = _POWER.sub(lambda m: _plain_power(int(m[1]), int(m[2] or m[3])), text)
    text = _NEGATIVE.sub("-", text)
    for groups, between in _GROUPS:
        text = groups.sub(lambda m, between=between: m[0].replace(between, ""), text)  # type: ignore[misc]
    text = _CONTINENTAL.sub(lambda m: m[0].replace(".", "").replace(",", "."), text)
    text = _DECIMAL_COMMA.sub(lambda m: m[0].replace(",", "."), text)
    return _MIXED.sub(lambda m: f"{int(m[1]) * int(m[3]) + int(m[2])}/{m[3]}", text)


def _plain_fraction(match: re.Match[str]) -> str:
    whole, top, bottom = match[1], match[2] or match[3], match[4] or match[5]
    return f" {whole} {top}/{bottom} " if whole else f"{top}/{bottom} "


def _plain_power(base: int, exponent: int) -> str:
    """Return a numeral, or nothing where it has more digits than Python reads or is no number."""
    if len(str(base)) * abs(exponent) > _MAX_DIGITS or (base == 0 and exponent < 0):
        return " "
    return str(Fraction(base) ** exponent)


def _numbers(text: str) -> list[Fraction]:
    text = _REJECTED.sub(" ", _plain_numerals(text))
    found = []
    for match in _ANY_NUMBER.finditer(text):
        token = match[0]
        # A sign after a digit or a bracket, or between two spaces, is an operation: "10 - 3", "x-3", "x - 3", but not "is -3".
        before, signed = text[max(0, match.start() - 9) : match.start()], token.lstrip()
        behind_letter = r"[^\W\d]\s*$" if re.match(r"[-+]\s", signed) else r"[^\W\d]$"
        if signed[:1] in ("+", "-") and re.search(rf"[\d)\]%]\s*$|{behind_letter}", before):
            token = signed[1:]
        if (value := _parse(token)) is not None:
            found.append(value)
    return found


def _first_number(text: str) -> Fraction | None:
    """Return the number that an equation in the text comes to, else the first."""
    sides = [_numbers(side) for side in text.split("=")]
    for numbers in reversed(sides[1:] and sides):
        if len(numbers) == 1:
            return numbers[0]
    numbers = sides[-1] or [value for side in sides for value in side]
    return numbers[0] if numbers else None


def _last_number(text: str) -> Fraction | None:
    numbers = _numbers(text)
    return numbers[-1] if numbers else None


def _number(value: object) -> Fraction | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        numbers = _numbers(clean(value))
        return numbers[0] if len(numbers) == 1 else extract_number(value)
    try:
        return Fraction(value)  # type: ignore[call-overload, unused-ignore]
    except (TypeError, ValueError, OverflowError):
        return None


def _parse(token: str) -> Fraction | None:
    *_, last = words = token.split() or [""]
    scale = _SCALE.get(last.lower(), 1)
    plain = re.sub(rf"[\s,{CURRENCY}]", "", "".join(words[:-1]) if scale > 1 else token).rstrip("%")
    try:
        top, _, bottom = plain.partition("/")
        return scale * (Fraction(top) / Fraction(bottom) if bottom else Fraction(top))
    except (ValueError, ZeroDivisionError):
        return None
