"""What a text says, whatever code points spell it: one folding for judges, answers and rules; and the names that a message lists."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

HAN = r"\u3005-\u3007\u3400-\u9fff\U00020000-\U0003ffff"
UNSPACED = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\uac00-\ud7af"
    r"\u1950-\u19cf\u19de-\u19ff\u1a00-\u1a7f\u1a90-\u1aad\u1b00-\u1b4f\u1b5a-\u1b7f\u1bc0-\u1bff\ua000-\ua4cf"
    r"\ua500-\ua61f\ua930-\ua95f\ua980-\ua9cf\ua9da-\ua9ef\ua9fa-\uaa4f\uaa5a-\uaadf"
    rf"\U00011700-\U0001172f\U00011f00-\U00011f4f\U00016fe0-\U00018d8f\U0001aff0-\U0001b2ff{HAN}]"
)
"""A letter of a script that puts no spaces between words, or none before numbers: Thai, Lao, Burmese, Khmer, Japanese, Chinese, Korean,
Bopomofo, Yi, Javanese, Balinese, and the others that Unicode breaks into lines without them (UAX 14: classes SA, ID, AK and AS).
"""
_IGNORED = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""Characters without a shape that Unicode does not count as format characters: joiners, fillers, variation selectors."""
THOUGHT = re.compile(r"^.*</think>", re.DOTALL)
"""What stands before an answer, up to the end of its last thought."""
_MARKS = {ord(c): "'" for c in "`´‘’‚‛ʹʻʼʽˈ′‵"} | {ord(c): '"' for c in "“”„‟«»″‶〝〞〟"} | {ord(c): "-" for c in "‐‑‒–—―−﹘"}
_SPACES = re.compile(r"[^\S\n]+")


def counted(number: int, noun: str) -> str:
    """Return the number with its noun.

    >>> counted(1, "error"), counted(2, "error")
    ('1 error', '2 errors')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def some(names: Sequence[str], at_most: int = 3, noun: str = "") -> str:
    """Return the first names, and how many more there are.

    >>> some(["a", "b", "c", "d", "e"], noun="file"), some(["a", "b"], 1, noun="file")
    ('a, b, c and 2 more files', 'a and 1 more file')
    """
    more = len(names) - at_most
    rest = "" if more <= 0 else f" and {counted(more, f'more {noun}') if noun else f'{more} more'}"
    return f"{', '.join(names[:at_most])}{rest}"


def encodable(text: str) -> str:
    """Return the text with `?` for each half of a surrogate pair, which JSON can name and no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def fold(text: str) -> str:
    """Fold compatibility forms (NFKC), drop invisible characters, and make every space a plain one and every break a line feed.

    So no full-width letter, zero-width joiner or odd space hides what a pattern looks for.
    """
    return unicodedata.normalize("NFKC", text.replace("\r\n", "\n")).translate(_SHOWN)


def fold_line(text: str) -> str:
    """Fold the text to one line, with one space between words."""
    return " ".join((text if text.isascii() and text.isprintable() else fold(text)).split())


def fold_marks(text: str) -> str:
    """Fold the text, with straight quotes, apostrophes and hyphens, and one space between words.

    >>> fold_marks("I\\u00a0can’t\\u200b\\u202fhelp — “that”.")
    'I can\\'t help - "that".'
    """
    return _SPACES.sub(" ", fold(text.translate(_MARKS)).translate(_MARKS))


class _Shown(dict[int, str | int | None]):
    """What `str.translate` makes of a character: worked out once for each that occurs."""

    def __missing__(self, code: int) -> str | int | None:
        category = unicodedata.category(chr(code))
        if category == "Cf" or chr(code) in _IGNORED:
            shown: str | int | None = None
        elif category in ("Zl", "Zp") or chr(code) in "\n\r\v\f\x85":
            shown = "\n"
        else:
            shown = " " if category[0] in "CZ" else code
        self[code] = shown
        return shown


_SHOWN = _Shown()
