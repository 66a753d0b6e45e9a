"""Whether an answer says the words of the gold answer, neither denied nor in a list of guesses."""

from __future__ import annotations

import re
from itertools import pairwise
from string import ascii_letters, ascii_uppercase

from ascl_core.rewards.answer_text import MARKUP, boxed, clean
from ascl_core.rewards.choices import extract_choice
from ascl_core.rewards.guesses import AND, HEDGED, NOT_IT, NOT_RIGHT, OFFERED, OR, stated
from ascl_core.rewards.numbers import MARKER
from ascl_core.text import UNSPACED, fold_marks

_GOLD = "ꀕ"
"""What stands in a text for the gold words, whatever is within them."""
_TOKEN = r"(?<!\w)-?\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:['-][^\W\d_]+)*[+#]*|[\d°%]"
_TOKENS = re.compile(_TOKEN)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_SUBSCRIPT = re.compile(r"(?<=[^\W\d_])_\{?(\d+)\}?")
_CERTAIN = re.compile(r"\b(?:no|without(?: an?y?)?) doubt\b|\bnot only\b|\bundoubtedly\b")
_ALL_BUT = re.compile(r"\b(?:any|every|all)\w*(?: \w+)? (?:but|except)\b")
_POLAR = {"yes", "no", "not", "none", "never"}
_SPOKEN = re.compile(
    r"(?:the|an?|i|it|its|this|that|is|are|was|were|be|of|in|on|at|to|for|with|and|or|but|no|not|so|my|your|very|quite|rather"
    r"|really|too|just|because|since|due|as|when|if|after|before|\w+ly|\w+'\w+)"
)
"""A word that says something of its neighbours, as `hot cold` does not."""
_LABEL = re.compile(rf"^[^:\n{_GOLD}]*:")
_SHOTS = 3
"""So many short sentences, each another name, are guesses; items of a list and capitalized names are from two on."""
_CLAUSE = re.compile(r"[,;:]\s|\s-+\s|\b(?:but|although|though|whereas)\b")
_LISTED = re.compile(rf"\s*(?:[;/|&~]|,(?: (?:{AND}|{OR}))?\s|\b(?:{AND}|{OR})\b|(?<=\s)[和与與及と]|[和与與及と](?=\s))\s*")
_SAYS_IT = re.compile(
    r"^\W*(?:(?:it|this|that|they|he|she|the (?:\w+ )?answer)(?:'s| is| was| are| were| could be| must be)|(?:is|are|was)"
    r"|(?:答案)?是)\s+(?:the |an? )?"
)
_LEFT = r"(?:(?<!\w)|(?<=[是为為は即叫选選在,])|(?<=なく)|(?<=คือ)|(?<=เป็น))"
_RIGHT = r"(?:(?!\w)|(?=[也了的和与與或か呢吧是]|不是|です|だ|である|でした|입니다|이다|예요|이에요|ครับ|ค่ะ|ではな|じゃな|不对|不對))"


def says(answer: str, gold: str) -> tuple[bool, bool]:
    """Return whether the last sentence says the gold words, neither denied nor in a list of guesses, and whether it says anything."""
    text, wanted = _plain(answer), _plain(gold)
    if len(wanted) == 1 and wanted in ascii_letters:
        letter = extract_choice(answer, ascii_uppercase)
        return letter == wanted.upper(), letter is not None
    if not _TOKENS.search(wanted):
        return text.strip() == wanted.strip(), bool(text.strip())
    text = _gold_pattern(wanted).sub(f" {_GOLD} ", text.replace(_GOLD, " "))
    guessed = _are_guesses(text, wanted)
    text = _ALL_BUT.sub("not", _CERTAIN.sub(" ", text.casefold()))
    final = _final_clause(text)
    read = bool(re.search(r"\w", final))
    if guessed or _GOLD not in final or (HEDGED.search(final) and len(HEDGED.findall(text)) > 1):
        return False, read
    return _is_said(final, polar=wanted.casefold() in _POLAR, width=len(_TOKENS.findall(wanted))), read


def _plain(text: str) -> str:
    text = clean(text)
    given = boxed(text)
    plain = _SUBSCRIPT.sub(r"\1", fold_marks(MARKUP.sub(r"\1", text if given is None else given)))
    return _THOUSANDS.sub(lambda match: match[0].replace(",", ""), plain).strip()


def _gold_pattern(wanted: str) -> re.Pattern[str]:
    """Return a pattern of the gold words; short ones with capitals, such as `US`, only as they are written."""
    tokens = list(_TOKENS.finditer(wanted))
    parts = [re.escape(tokens[0][0])]
    for one, other in pairwise(tokens):
        between = wanted[one.end() : other.start()]
        mark = between.strip()
        parts.append(
            r"[\s-]*"
            if not between or (not mark and one[0][-1].isdigit())
            else r"[\s-]+"
            if not mark
            else r"\.?\s*"
            if mark == "."
            else rf"\s*{re.escape(mark)}\s*"
        )
        parts.append(re.escape(other[0]))
    left, right = (rf"(?:{_LEFT}|(?<={UNSPACED}))", rf"(?:{_RIGHT}|(?={UNSPACED}))") if wanted.isascii() else (_LEFT, _RIGHT)
    exact = len(wanted) <= 3 and not wanted.islower() and wanted.isascii()
    return re.compile(rf"{left}{''.join(parts)}{right}", 0 if exact else re.I)


def _is_said(final: str, *, polar: bool, width: int) -> bool:
    if re.search(
        rf"(?<!\w)(?:{OR})(?!\w)|或|还是|還是|または|もしくは|(?<=\s)か(?=\w)|\bare (?:both |all )?(?:possible|options|candidates)\b", final
    ):
        return False
    pieces = [piece for piece in _LISTED.split(_SAYS_IT.sub("", final)) if re.search(r"\w", piece)]
    names = [_TOKENS.findall(piece) for piece in pieces]
    # "Paris, France" is one answer; "hot, warm, cold" and "Tuesday/Wednesday" are guesses.
    only_comma = len(pieces) == 2 and not re.search(rf"[;/|&~]|(?<!\w)(?:{AND})(?!\w)", final)
    if len(pieces) > 1 and not only_comma and [_GOLD] in names and all(len(name) <= width + 1 for name in names):
        return False
    position = 0
    for clause in re.split(rf"({_CLAUSE.pattern})", final):
        before, said, after = clause.partition(_GOLD)
        if said and polar:
            return not re.search(r"\w", _SAYS_IT.sub("", before)) and not re.search(r"\w", after)
        if said and not (
            NOT_IT.search(before.rstrip()) or OFFERED.search(final[: position + len(before)]) or re.match(rf"\W*{NOT_RIGHT}", after)
        ):
            return True
        position += len(clause)
    return False


def _are_guesses(text: str, wanted: str) -> bool:
    """Return whether the gold words are one of several short answers, which nothing parts.

    Of common words, `hot cold` is such a list, too; `Johann Sebastian Bach` is a name.
    """
    width = len(_TOKENS.findall(wanted))
    lines = [line for line in re.split(r"[!?\n]+|\.(?:\s|$)(?<!\d\.\s)", text) if re.search(r"\w", line)]
    words = _TOKENS.findall(_LABEL.sub("", text.casefold()))
    if len(lines) == 1 and wanted.islower() and _GOLD in words and len(words) > 1 and not any(map(_SPOKEN.fullmatch, words)):
        return True
    capital = wanted[:1].isupper()

    def name(rest: str) -> tuple[str, ...] | None:
        found = _TOKENS.findall(rest)
        fits = 0 < len(found) <= width + 1 and (not capital or all(word[0].isupper() or word == _GOLD for word in found))
        return tuple(word.casefold() for word in found) if fits else None

    form, given = stated(text, name)
    return (_GOLD,) in given and len({*given}) >= (2 if form == "item" or (form == "led" and capital) else _SHOTS)


def _final_clause(text: str) -> str:
    if markers := list(MARKER.finditer(text)):
        return text[markers[-1].end() :].strip().split("\n")[0]
    sentences = [sentence for sentence in re.split(r"(?:[.!?](?=\s|$)|\n)+", text) if re.search(r"\w", sentence)]
    return sentences[-1] if sentences else ""
