"""Reading the final answer out of free text, and comparing it; no credit for guesses."""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Sequence
from fractions import Fraction

Number = Fraction
"""Numbers are exact: `0.1 + 0.2` and `3/10` are the same answer."""

_CURRENCY = "$€£¥₹"
_NUMERAL = (
    rf"[-+]?\s?[{_CURRENCY}]?\s?(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+]?\d{{1,4}})?(?:\s?/\s?\d+(?:\.\d+)?)?"
    r"(?:\s?%|\s(?:thousand|million|billion|trillion)\b)?"
)
_ANY_NUMBER = re.compile(rf"(?<![\w.])(?<!\d:)(?:{_NUMERAL})(?![\w/]{{0,20}}\d|:\d)", re.I)
_SCALE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_FRAC = re.compile(r"(?:(?<!\d)(\d+)\s?)?\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_MIXED = re.compile(r"(?<![\w.,/])(\d+)\s+(\d+)\s?/\s?(\d*[1-9]\d*)(?![\w/]|\.\d)")
_VULGAR = re.compile(r"(?:(?<!\d)(\d+)\s?)?([¼-¾⅐-⅞])")
_GROUPS = (
    (re.compile(r"(?<![\d.,])\d{1,3}(?:'\d{3})+(?!\d)"), "'"),
    (re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"), ","),
    (re.compile(r"(?<![\w.,])\d{1,3}(?:\.\d{3}){2,}(?!\d|[.,]\d)"), "."),
    (re.compile(r"(?<![\d.,/:] )(?<![\d.,/])(?:\d{1,2}(?: \d{3})+|\d{3}(?: 000)+)(?![\d/]| \d)"), " "),
)
"""Digits that are not grouped by commas in threes, and the separator of the groups. `100 200 300` are three numbers."""
_CONTINENTAL = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+,\d+(?!\d)")
_UNIT_POWER = re.compile(r"(\\(?:text|mathrm)\s*\{[^{}]*\}|[^\W\d_])\s*\^\s*(?:\{\s*-?\d+\s*\}|-?\d)")
_TIMES_TEN = re.compile(r"(?<=\d)\s*(?:\\times|\\cdot|[×x*·])\s*10\s*\^\s*(?:\{\s*([-+]?\d{1,3})\s*\}|([-+]?\d{1,3}))")
_POWER = re.compile(r"(?<![\w.])(\d{1,6})\s*\^\s*(?:\{\s*(-?\d{1,3})\s*\}|(-?\d{1,3}))(?!\d)")
_NEGATIVE = re.compile(rf"(?<!\d )\b(?:negative|minus)\s+(?=[{_CURRENCY}]?\d)", re.I)
_REJECTED = re.compile(rf"(?:\bnot|n't)\s+(?:{_NUMERAL})(?!\w)", re.I)
_HEDGE = r"(?:maybe|possibly|perhaps|probably|potentially|even|also|just|else|(?:is it|it is|it's|it (?:could|may|might) be))"
_GUESSED = rf"(?<![\w.,/:^{_CURRENCY}])[{_CURRENCY}]?(\d+(?:,\d{{3}})*(?:\.\d+)?)"
_GUESSED_TOO = rf"[{_CURRENCY}]?(\d+(?:,\d{{3}})*(?:\.\d+)?)(?![\w/%^]|[.,]\d|\s?[*×+=^]\s?\w| \d+/)"
_EITHER = re.compile(rf"{_GUESSED}\**[,;]? (?:or|maybe|possibly|perhaps) (?:{_HEDGE} ){{0,3}}\**{_GUESSED_TOO}", re.I)
_RANGE = re.compile(rf"{_GUESSED}(?: to |-){_GUESSED_TOO}", re.I)
_BETWEEN = re.compile(r"\bbetween [^a-z.]{0,20}\d[^a-z.]{0,20} and [^a-z.]{0,9}\d", re.I)
_CHANGE = re.compile(
    r"\b(?:from|up|down|went|goes|rose|grew|fell|(?:round|ris|grow|increas|decreas|drop|fall|reduc|simplif|convert|chang|compar|add|equal)\w*)\b",
    re.I,
)
"""`from 27 to 30` and `rounds 27 to 30` come to 30; `27 to 30` is a range."""
_BOXED = re.compile(r"\\f?boxed\s*(?:\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}|(\w))")
_MARKER = re.compile(
    r"####|\b(?:final |correct |my )?answer\b[\s*_]*(?:(?:is|:|=|would be|should be|must be|was|comes to)+\s*:?|(?<=\n))", re.I
)
_IS_THE_ANSWER = re.compile(rf"(?<![\w.])({_NUMERAL})[^\s\d]{{0,3}} is (?:the|my) (?:\w+ )?answer\b", re.I)
_BOLD = re.compile(r"\*\*([^*\n]*\d[^*\n]*)\*\*")
_MARKUP = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}|\\[()\[\]]|\$")
_OPENED = r"[\s*_`:=.\"'“‘«-]*[*_`(\[{\"'“‘«]{0,4}"
_LEAD = (
    r"(?:\b(?:answers?|ans|choices?|options?|select(?:ed)?|choose|chose|pick(?:ed)?)\b"
    r"(?:[\s,]+(?:is|are|was|would|must|should|be|option|choice|letter|correct|best|probably|likely|most|clearly|indeed|definitely|simply|therefore|thus"
    r"|appears?|seems?|to|here|this|the|question|i|think|believe|both|either)){0,8}"
    r"|\b(?:antwort|respuesta|réponse|risposta|resposta)\b(?:\s+(?:ist|lautet|es|est|è|é|la|le|l|correcta|correcte|corretta|bonne|opción|option|opzione|opção)\b){0,5}"
    rf"|(?:答案|正解|答え|正答|정답은?|답은?)\s*(?:应该|應該)?(?:是|为|為|は|选|選)?){_OPENED}"
)
"""Words that mark a letter as an answer, in the most frequent languages of multiple-choice answers."""
_NO_WORD = r"(?![A-Za-z0-9_]|['’]\w)"
"""The end of a letter: in text without spaces another script may follow at once."""
_ANSWER_IS = re.compile(r"answer is[\s*_`(\[{]*$", re.I)
_ANSWER_COLON = re.compile(r"answer:[\s*_`(\[{]*$", re.I)
_TAGGED = re.compile(r"<(answer|final_answer|choice)>\s*(.*?)\s*</\1>", re.I | re.S)
_WRONG = r"(?i:(?:(?:is|are) )?(?:\w+ly )?(?:wrong|incorrect|false)|(?:is|are)(?:n't| not| never))\b"
_FUNCTION_WORD = r"(?:because|since|as|and|or|but|for|with|due|given|which|by|if|when|while|not|correct|is|in|from|so)\b"
_ARTICLE = re.compile(r"A (?!is\b|must\b|would\b)[a-z]+ (?:answer|choice|option)\b")
_THOUGHT = re.compile(r"^.*</think>", re.DOTALL)
_PLAIN = {ord(sign): "-" for sign in "−–‑－﹣"} | {ord(space): " " for space in "\u00a0\u202f\u2009\u2007"}
_MAX_DIGITS = 1000
_MARKERS, _LINE = 20, 500
"""The number of marked answers, from the end, that are read, and of characters after each: what is longer is no answer."""
_BESIDE = 60
"""Characters beside an answer that are searched for another."""
_MATH_SECONDS = 2


def extract_number(text: str) -> Fraction | None:
    r"""Return the number that the text gives as its answer, or None.

    In order: the last `\boxed{}`, what follows the last `####` or "the answer is", else the last number in bold in the last
    sentence with a number, else the last number. `3 or 4`, `3 to 4` and `between 3 and 4` are guesses and give None.

    >>> extract_number("3 + 4 = 7, so she has $1,234.50 left. #### 1,234.50")
    Fraction(2469, 2)
    >>> extract_number("no number here") is None
    True
    """
    text = _clean(text)
    if boxed := _BOXED.findall(text):
        content = boxed[-1][0] or boxed[-1][1]
        return None if _is_guess(_MARKUP.sub(r"\1", content), marked=True) else _last_number(content)
    for marker in list(_MARKER.finditer(text))[: -_MARKERS - 1 : -1]:
        line = text[marker.end() : marker.end() + _LINE].strip().split("\n")[0]
        if _is_guess(_first_sentence(line), marked=True):
            return None
        if (value := _first_number(line)) is not None:
            return value
    if named := list(_IS_THE_ANSWER.finditer(text)):
        guess = _is_guess(text[max(0, named[-1].start() - _BESIDE) : named[-1].end(1)], marked=False)
        return None if guess else _last_number(named[-1][1])
    last = _last_sentence(text)
    if _is_guess(last, marked=False):
        return None
    bold = _BOLD.findall(last)
    return _last_number(bold[-1] if bold else text)


def numbers_equal(a: object, b: object, tolerance: float = 1e-9) -> bool:
    """Return whether two numbers (or texts of numbers) are equal, exactly or to a relative tolerance; None equals nothing.

    >>> numbers_equal("1,000", 1000) and numbers_equal("3/4", 0.75) and not numbers_equal(None, None)
    True
    """
    x, y = _number(a), _number(b)
    if x is None or y is None:
        return False
    return x == y or abs(x - y) <= Fraction(tolerance) * max(abs(x), abs(y))


def extract_choice(text: str, letters: str = "ABCDE") -> str | None:
    """Return the one letter that the text chooses, or None where it chooses none or more than one.

    A letter counts where it is marked as an answer ("the answer is (C)", `\\boxed{C}`, "**C**", "C)" opening a line) or
    stands alone; the article "A" and the pronoun "I" in a sentence do not count. Of several marked ones the first after
    "answer is" counts, else the last of the first line with "answer:", as the harness of MMLU-Pro reads them (TIGER-AI-Lab/MMLU-Pro,
    `compute_accuracy.py`), else the last. Unlike there, the last letter of a text that marks none is a guess.

    >>> extract_choice("I think a bird is A good guess, but the answer is (C).", "ABCD")
    'C'
    >>> extract_choice("It is A or B.", "ABCD") is None
    True
    """
    text = unicodedata.normalize("NFKC", _MARKUP.sub(r"\1", _clean(text))).replace("__", "**").strip()
    if tagged := _TAGGED.findall(text):
        text = tagged[-1][1]
    upper, either = re.escape(letters.upper()), re.escape(letters.upper() + letters.lower())
    boxed = [match.start() for match in re.finditer(r"\\f?boxed\b", text)]
    if boxed and not re.search(rf"answer is \(?[{upper}]\b", text):
        return _only_letter(text[boxed[-1] :], rf"\\f?boxed[\s{{(]*([{either}])(?!\w)", upper, before=text[: boxed[-1]])
    if re.fullmatch(rf"\W*([{either}])\W*", text):
        return re.sub(r"\W", "", text).upper()
    text = re.sub(rf"(?<!\w)(?i:option |choice )?{_listed(upper)} ?{_WRONG}", " ", text)
    text = re.sub(rf"(?:\b(?:can)?not|n't|\bnever)(?: be)?(?: option)? {_listed(upper)}(?!\w)(?! is)", " ", text)
    strong = [
        match
        for match in re.finditer(rf"{_LEAD}([{either}]){_NO_WORD}", text, re.I)
        if not _is_word(match[1], text[match.end() : match.end() + 20])
    ]
    if strong:
        return _only_letter(text[_that_counts(text, strong) :], rf"([{either}])", upper)
    if re.search(rf"\b([{upper}])\s*(?:or|and|/|&)\s*(?!\1)([{upper}])\b", text):
        return None
    patterns = (
        rf"\b([{upper}])[)*:.]* (?:is|must be|would be)? ?(?:the |a )?(?:\w+ )?(?i:correct|right|answer|choice|option)\b(?! at first)",
        rf"(?:^|\n)\(?([{upper}])[).:] [^\n]* is (?:right|correct)\b",
        rf"\*\*\(?([{upper}])\b[^*\n]*\*\*",
        rf"(?:^|\n)\s*\(?([{upper}])(?:[).:](?:\s|$)| [-–] |\s*(?:\n|$))",
        rf"^\(?([{either}])[).]\s",
        rf"\(([{upper}])\)",
        rf"(?:^|[\n:=,;?>]|'s|\b(?:is|be|with|for|say|so|thus|hence|therefore|but))\s*([{upper}])\W*(?:</\w+>)?$",
    )
    for pattern in patterns:
        letters_found = {match[1].upper(): match.start(1) for match in re.finditer(pattern, text) if not _ARTICLE.match(match[0])}
        if letters_found:
            (start, *others) = letters_found.values()
            alone = rf"([{either}])"
            return (
                None if others else _only_letter(text[start : start + _BESIDE], alone, upper, before=text[max(0, start - _BESIDE) : start])
            )
    return None


def verify(answer: str, gold: str, kind: str, choices: str | None = None) -> tuple[bool, bool]:
    """Return whether the answer is right, and whether an answer could be extracted at all.

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
    # Its limit is an alarm signal, which only the main thread gets; without it `9^{9^{9}}` would never end.
    limit = _MATH_SECONDS if threading.current_thread() is threading.main_thread() else None
    parsed = parse(_clean(answer), parsing_timeout=limit)
    right = bool(parsed) and bool(same(parse(f"${gold}$", parsing_timeout=limit), parsed, timeout_seconds=limit))
    return right, bool(parsed)


def _only_letter(text: str, pattern: str, upper: str, before: str = "") -> str | None:
    """Return the letter at the start of the text, unless another is beside it: `A or B`, `A, C`."""
    if not (match := re.match(pattern, text)):
        return None
    joined = rf"(?:(?:[,;]|(?i:\b(?:or|and|maybe|possibly|perhaps|oder|und|ou|et|o)\b)|或者?|和|または|/|&)\s*(?i:{_HEDGE}\s+)?){{1,3}}"
    opened = r"[\s*_`(\[$]*(?i:option |choice |\\f?boxed[{(]*)?\(?"
    beside = rf"[\s*_`)\].:?}}$]*{joined}{opened}([{upper}])(?!\w|['’]\w)(?! (?:is|was|are|would|has|can)\b)"
    rest = text[match.end() :]
    after = re.match(beside, rest)
    if after and _is_word(after[1], rest[after.end() : after.end() + 20]):
        after = None
    earlier = re.search(rf"(?<!\w)([{upper}])[)}}$*_.:?\s]*{joined}{opened}$", before[-_BESIDE:])
    others = {found[1].upper() for found in (after, earlier) if found}
    return None if others - {match[1].upper()} else match[1].upper()


def _that_counts(text: str, marked: Sequence[re.Match[str]]) -> int:
    """Return the position of the letter that counts, of those that are marked as the answer."""
    starts = [match.start(1) for match in marked]
    for start in starts:
        if _ANSWER_IS.search(text[max(0, start - _BESIDE) : start]):
            return start
    after_colon = [start for start in starts if _ANSWER_COLON.search(text[max(0, start - _BESIDE) : start])]
    if after_colon:
        end = text.find("\n", after_colon[0])
        return [start for start in after_colon if end < 0 or start < end][-1]
    return starts[-1]


def _listed(upper: str) -> str:
    """Return a pattern of one of the letters, or of several as in `A, B and (C)`."""
    return rf"\(?[{upper}]\b[)*.:]{{0,4}}(?:(?:,? (?:and|or) |, ?)\(?[{upper}]\b[)*.:]{{0,4}}){{0,9}}"


def _is_word(letter: str, after: str) -> bool:
    """Return whether the letter is the article or pronoun of a sentence: `the answer is a bird`."""
    return letter in "aAiI" and bool(re.match(rf"\s+(?!{_FUNCTION_WORD})[a-z]", after))


def _final_clause(text: str) -> str:
    if markers := list(_MARKER.finditer(text)):
        return text[markers[-1].end() :].strip().split("\n")[0]
    sentences = [s for s in re.split(r"[.!?\n]+", text) if s.strip()]
    return sentences[-1] if sentences else ""


def _first_sentence(text: str) -> str:
    return re.split(r"[.!?](?:\s|$)", text, maxsplit=1)[0]


def _last_sentence(text: str) -> str:
    """Return the last sentence with a digit."""
    sentences = [s for s in re.split(r"[.!?](?:\s|$)|\n", text) if re.search(r"\d", s)]
    return sentences[-1] if sentences else ""


def _is_guess(sentence: str, *, marked: bool) -> bool:
    """Return whether more than one number is offered: of a marked answer the first counts, else the last."""
    sentence = re.sub(r"\s+", " ", sentence)
    if _BETWEEN.search(sentence) or any(_differ(match) for match in _EITHER.finditer(sentence)):
        return True
    for match in _RANGE.finditer(sentence):
        before, after = sentence[: match.start()], sentence[match.end() :]
        counts = not re.search(r"\d", before) if marked else not (re.search(r"\d", after) or _CHANGE.search(before))
        if counts and _differ(match):
            return True
    return False


def _differ(match: re.Match[str]) -> bool:
    return not numbers_equal(match[1], match[2])


def _clean(text: str) -> str:
    return _THOUGHT.sub("", text).translate(_PLAIN)


def _plain_numerals(text: str) -> str:
    """Return the text with its LaTeX, fractions, powers and groups of digits written as plain numerals."""
    text = text.replace("\\$", "$").replace("\\%", "%").replace("{,}", ",").replace("\\,", "").replace("\\left", "").replace("\\right", "")
    text = _FRAC.sub(_plain_fraction, text)
    text = _VULGAR.sub(lambda m: f" {m[1] or ''} {Fraction(unicodedata.numeric(m[2])).limit_denominator(10)} ", text)
    text = _TIMES_TEN.sub(lambda m: f"e{m[1] or m[2]}", text)
    text = _UNIT_POWER.sub(r"\1 ", text)
    text = _POWER.sub(lambda m: _plain_power(int(m[1]), int(m[2] or m[3])), text)
    text = _NEGATIVE.sub("-", text)
    for groups, between in _GROUPS:
        text = groups.sub(lambda m, between=between: m[0].replace(between, ""), text)  # type: ignore[misc]
    text = _CONTINENTAL.sub(lambda m: m[0].replace(".", "").replace(",", "."), text)
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
        numbers = _numbers(_clean(value))
        return numbers[0] if len(numbers) == 1 else extract_number(value)
    try:
        return Fraction(value)  # type: ignore[call-overload, unused-ignore]
    except (TypeError, ValueError, OverflowError):
        return None


def _parse(token: str) -> Fraction | None:
    *_, last = words = token.split() or [""]
    scale = _SCALE.get(last.lower(), 1)
    plain = re.sub(rf"[\s,{_CURRENCY}]", "", "".join(words[:-1]) if scale > 1 else token).rstrip("%")
    try:
        top, _, bottom = plain.partition("/")
        return scale * (Fraction(top) / Fraction(bottom) if bottom else Fraction(top))
    except (ValueError, ZeroDivisionError):
        return None
