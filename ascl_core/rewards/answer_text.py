"""The text of an answer, as the readers of numbers, letters, words and expressions take it, with the answers that it marks by form."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from ascl_core.rewards.guesses import in_one_breath
from ascl_core.text import THOUGHT, UNSPACED, fold

CURRENCY = "$€£¥₹"
MARKUP = re.compile(r"\\(?:text(?:bf|rm|it|sf)?|math(?:rm|bf|sf|it)|mbox)\s*\{([^{}]*)\}|\\[()\[\]]|\$")
BESIDE = 60
"""Characters beside an answer that are searched for another."""
_VULGAR = re.compile(r"(?:(?<!\d)(\d+)\s?)?([¼-¾⅐-⅞])")
_TAG = re.compile(r"<(/?)(answer|final_answer|choice)>", re.I)
_VALUE = r""":\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s"',{}\[\]]+))"""
_OF_ANSWER = r"(?:(?:final|correct|right|best|my|the|selected|predicted|chosen)[ _-]?)*"
_JSON_ANSWER = re.compile(
    rf"""["']{_OF_ANSWER}(?:answer|ans|result|choice|option)(?:[ _-]?(?:choice|letter|option|value|text))?["']\s*{_VALUE}""", re.I
)
_JSON_SOLUTION = re.compile(rf"""["']{_OF_ANSWER}(?:solution|response|output|prediction|letter)["']\s*{_VALUE}""", re.I)
_BOXED = re.compile(r"\\f?boxed\s*(?:\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}|(\w))")
_TYPED = {
    **{ord(sign): "-" for sign in "−–‐‑"},
    **{ord(sign): "~" for sign in "〜～∼"},
    ord("’"): "'",
    ord("⁄"): "/",
    ord("∕"): "/",
    ord("。"): ". ",
    ord("、"): ", ",
}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SUPERSCRIPT = re.compile(f"[{''.join(map(chr, _RAISED))}]+")
_BESIDE_UNSPACED = re.compile(rf"(?<={UNSPACED})(?=[-+{CURRENCY}]?\d)|(?<=\d)(?={UNSPACED})")
_EMPHASIS = re.compile(r"(?<![\w\\}$])(__?)(?=[^\s_])([^_\n]{1,200})(?<=\S)\1(?![\w{])")
_RAISED_HTML = re.compile(r"<sup>([^<>\n]*)</sup>", re.I)
_END = re.compile(r"<\|\w{1,30}\|>|<br\s*/?>|</s>", re.I)
_HTML = re.compile(r"<(?!answer|final_answer|choice)([a-z]+)>([^<>\n]*)</\1>", re.I)
_DIGIT = re.compile(r"[^\D0-9]")
_CODE = re.compile(
    r"(?<![\w.])(?:(?:US|AU?|CA?|NZ|HK|S|R|NT)\$|Rs\.?|RM|kr\.?|Fr\.?|zł|USD|EUR|GBP|JPY|CNY|RMB|INR|AUD|CAD|CHF|SEK|NOK|DKK|KRW|HKD|SGD|NZD|MXN|BRL|ZAR|RUB|TRY|PLN"
    r"|THB|PHP|IDR|MYR|VND|TWD|ILS|AED|SAR|EGP|NGN|KES|PKR|BDT|UAH|CZK|HUF|RON|ARS|CLP|COP|Tk\.?|Rp\.?|KSh)"
    r"\s?(?=-?\d)",
    re.I,
)


def clean(text: str) -> str:
    """Return what the text says after its thoughts, folded; of a tagged or a JSON answer only that.

    Tagged answers that differ, with nothing thought in between, are joined by `or`.
    """
    text = _SUPERSCRIPT.sub(lambda match: f"^{{{match[0].translate(_RAISED)}}}", THOUGHT.sub("", text))
    text = _VULGAR.sub(lambda m: f" {m[1] or ''} {Fraction(unicodedata.numeric(m[2])).limit_denominator(10)} ", text)
    text = _DIGIT.sub(lambda digit: str(unicodedata.digit(digit[0])), fold(text).translate(_TYPED))
    text = _HTML.sub(r" \2 ", _END.sub("\n", _RAISED_HTML.sub(r"^{\1}", _EMPHASIS.sub(r"**\2**", text))))
    text = _CODE.sub("$", _BESIDE_UNSPACED.sub(" ", text))
    if tagged := _tagged(text):
        return _last(tagged, text)
    for keys in (_JSON_ANSWER, _JSON_SOLUTION):
        if named := [(*found.span(), next(filter(None, found.groups()), "")) for found in keys.finditer(text)]:
            return _last(named, text) or text
    return text


def boxed(text: str) -> str | None:
    r"""Return what the last `\boxed{}` encloses; boxes that differ, with nothing thought in between, are joined by `or`."""
    found = [(*box.span(), MARKUP.sub(r"\1", box[1] or box[2] or "").strip()) for box in _BOXED.finditer(text)]
    return _last(found, text) if found else None


def _last(found: list[tuple[int, int, str]], text: str) -> str:
    given = in_one_breath(found, text)
    return " or ".join(dict.fromkeys(given)) if len(set(given)) > 1 else found[-1][2]


def _tagged(text: str) -> list[tuple[int, int, str]]:
    """Return what each pair of answer tags encloses, with its span; one pass, however many are never closed."""
    opened: dict[str, tuple[int, int]] = {}
    found = []
    for tag in _TAG.finditer(text):
        name = tag[2].lower()
        if not tag[1]:
            opened[name] = tag.span()
        elif name in opened:
            start, end = opened.pop(name)
            found.append((start, tag.end(), text[end : tag.start()].strip()))
    return found
