"""Reading the letter that an answer chooses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ascl_core.rewards.answer_text import BESIDE, MARKUP, boxed, clean
from ascl_core.rewards.guesses import AND, DENIED, HEDGE, HEDGED, NOT_RIGHT, OR, SENTENCE, WRONG, stated

_OPENED = r"[\s*_`:=.\"'“‘«→⇒>—―-]*[*_`(\[{\"'“‘«]{0,4}"
_LEAD = unicodedata.normalize(
    "NFKC",  # as the texts are
    r"(?:\b(?:answers?|ans|choices?|options?|select(?:ed)?|choose|chose|pick(?:ed)?|(?:correct|right|best) (?:one|letter|statement)"
    r"|go(?:ing)? with|letter|guess|vote|lean(?:ing)? towards?|leav(?:es|ing)(?: only)?)\b"
    r"(?:[\s,]+(?:is|ist|est|are|was|would|must|should|be|option|choice|letter|correct|best|probably|likely|most|clearly|indeed|definitely|simply|therefore|thus"
    r"|appears?|seems?|to|here|this|the|question|i|think|believe|both|either)){0,8}"
    r"|\b(?:antwort|antwoord|svar(?:et)?|respuesta|réponse|risposta|resposta|răspuns(?:ul)?|opción|opzione|opção|alternativa|jawaban(?:nya)?|vastaus"
    r"|odpověď|odpowiedź|válasz|cevap|yanıt|đáp án|ответ|вариант|lösung"
    r"|letra|seçenek|câu trả lời|chọn|správně|відповідь|απάντηση|richtig)\b"
    r"(?:\s+(?:ist|lautet|donc|giusta|tepat|is|är|er|es|est|este"
    r"|è|é|la|le|l|a|correcta|correcte|corretta|correta|certa|corect|bonne|opción|option|opzione|opção|letra|lettre|lettera"
    r"|alternativa|yang|benar|adalah|on|je|to|jest|poprawna|helyes|doğru|là|đúng|это|είναι)\b){0,5}"
    r"|(?:答案|正解|答え|正答|정답은?|답은?|선택지|(?:正确|正確)的?(?:选项|選項)|(?<!不)(?<!非)(?:选项|選項|選択肢))\s*(?:应该|應該|应|應|就)?(?:是|为|為|は|选|選)?|(?<![不非])(?:选择|選擇|选|選)(?:项|項)?"
    r"|(?:الإجابة|الجواب|התשובה|उत्तर|উত্তর|الخيار|विकल्प|คำตอบคือข้อ|คำตอบ|ข้อ)\s*(?:الصحيحة|الصحيح|הנכונה|सही|ที่ถูกต้อง)?\s*(?:هي|هو|היא|है|হল|คือ)?"
    rf"){_OPENED}",
)
"""Words that mark a letter as an answer, in the most frequent languages of multiple-choice answers."""
_NO_WORD = r"(?![A-Za-z0-9_]|['’](?!d[iıuü]r\b)\w)"
"""The end of a letter: in text without spaces another script may follow at once."""
_ANSWER_IS = re.compile(r"answer is[\s*_`(\[{]*$", re.I)
_ANSWER_COLON = re.compile(r"answer:[\s*_`(\[{]*$", re.I)
_FUNCTION_WORD = r"(?:because|since|as|and|or|but|for|with|due|given|which|by|if|when|while|not|correct|is|in|from|so)\b"
_ARTICLE = re.compile(r"[AI] (?!is\b|must\b|would\b)[a-z]+ (?:answer|choice|option)\b")


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
    text = MARKUP.sub(r"\1", clean(text)).strip()
    upper, either = re.escape(letters.upper()), re.escape(letters.upper() + letters.lower())
    boxes = [match.start() for match in re.finditer(r"\\f?boxed\b", text)]
    if boxes and not re.search(rf"answer is \(?[{upper}]\b", text):
        if " or " in (boxed(text) or ""):
            return None
        return _only_letter(
            text[boxes[-1] :],
            rf"\\f?boxed[\s{{]*(?:(?i:answer|option|choice)[\s:]+)?[\s(]*([{either}])(?!\w)",
            upper,
            before=text[: boxes[-1]],
        )
    if re.fullmatch(rf"\W*([{either}])\W*", text):
        return re.sub(r"\W", "", text).upper()
    hedged = [re.findall(rf"\b[{upper}]\b(?!\s[a-z])", one) for one in SENTENCE.findall(text) if HEDGED.search(one.strip())]
    if len({letter for found in hedged for letter in found}) > 1:
        return None
    form, given = stated(text, lambda rest: rest.upper() if re.fullmatch(rf"[{either}]", rest) else None)
    if form != "bare" and len({*given}) > 1:
        return None
    text = re.sub(rf"(?<![A-Za-z])(?i:option |choice |选项|選項)?{_listed(upper)} ?(?:{WRONG}|(?i:{NOT_RIGHT}))", " ", text)
    text = re.sub(rf"(?i:{DENIED})(?: option)?[ :：]?{_listed(upper)}(?![A-Za-z])(?! is)", " ", text)
    strong = [
        match
        for match in re.finditer(rf"{_LEAD}([{either}]){_NO_WORD}", text, re.I)
        if not _is_word(match[1], text[match.end() : match.end() + 20])
    ]
    if strong:
        return _only_letter(text[_that_counts(text, strong) :], rf"([{either}])", upper)
    if whole := re.match(rf"\(?([{upper}])[).:] (?:Both|All|None|Neither|Either|\(?[{upper}]\)?,? (?:and|or|[{upper}])\b)[^\n]*$", text):
        return whole[1]
    if judged := re.search(rf"\b(?:but|so|thus|therefore|hence),? (?:only )?\(?([{upper}])\)? is (?:the )?(?:correct|right|best)\b", text):
        return judged[1]
    if re.search(rf"\b([{upper}])\s*(?:{OR}|{AND}|[/&|~])\s*(?!\1)([{upper}])\b", text):
        return None
    patterns = (
        rf"\b([{upper}])[)*:.]* (?:is|must be|would be)? ?(?:the |a )?(?:\w+ )?(?i:correct|right|answer|choice|option)\b(?! at first)",
        rf"(?:^|\n)\(?([{upper}])[).:] [^\n]* is (?:right|correct)\b",
        rf"\*\*\(?([{upper}])\b[^*\n]*\*\*",
        rf"(?:^|\n)\s*\(?([{upper}])(?:[).:](?:\s|$)| [-–—] |\s*(?:\n|$))",
        rf"^\(?([{either}])[).:]\s",
        rf"^([{upper}])(?:, (?!{OR}\b|{AND}\b|(?i:{HEDGE}|however|but)\b)(?:[A-Za-z][a-z]|I )"
        r"| (?:because|since|as|due to)\b|\s?\([^()]*\)$)",
        rf"\(([{upper}])\)",
        rf"(?:^|[\n.,;])\s*([{upper}]) ?(?:です|だ|が正解|が答え|是?正确|是?正確|입니다|[가이] 정답)",
        rf"(?:^|[\n:=,;?>]|'s|\b(?i:is|be|with|for|say|so|thus|hence|therefore|but|definitely|probably|certainly|clearly))\s*([{upper}])\W*(?:</\w+>)?$",
    )
    for pattern in patterns:
        letters_found = {match[1].upper(): match.start(1) for match in re.finditer(pattern, text) if not _ARTICLE.match(match[0])}
        if letters_found:
            (start, *others) = letters_found.values()
            alone = rf"([{either}])"
            return None if others else _only_letter(text[start : start + BESIDE], alone, upper, before=text[max(0, start - BESIDE) : start])
    return None


def _only_letter(text: str, pattern: str, upper: str, before: str = "") -> str | None:
    """Return the letter at the start of the text, unless another is beside it: `A or B`, `A, C`."""
    if not (match := re.match(pattern, text)):
        return None
    between = rf"[,;/&|]|~(?!\s?\()|(?i:(?<!\w)(?:{OR}|{AND}|maybe|possibly|perhaps)(?![^\W{upper}]))|或者?|和|または|还是"
    joined = rf"(?:(?:{between})\s*(?i:{HEDGE}\s+)?){{1,3}}"
    opened = r"[\s*_`(\[$]*(?i:option |choice |\\f?boxed[{(]*)?\(?"
    beside = rf"[\s*_`)\].:?}}$]*{joined}{opened}([{upper}])(?!\w|['’]\w)(?! (?:is|was|are|would|has|can)\b)"
    rest = text[match.end() :]
    after = re.match(beside, rest)
    if after and _is_word(after[1], rest[after.end() : after.end() + 20]):
        after = None
    earlier = re.search(rf"(?<!\w)([{upper}])[)}}$*_.:?\s]*{joined}{opened}$", before[-BESIDE:])
    others = {found[1].upper() for found in (after, earlier) if found}
    return None if others - {match[1].upper()} else match[1].upper()


def _that_counts(text: str, marked: Sequence[re.Match[str]]) -> int:
    """Return the position of the letter that counts, of those that are marked as the answer."""
    starts = [match.start(1) for match in marked]
    for start in starts:
        if _ANSWER_IS.search(text[max(0, start - BESIDE) : start]):
            return start
    after_colon = [start for start in starts if _ANSWER_COLON.search(text[max(0, start - BESIDE) : start])]
    if after_colon:
        end = text.find("\n", after_colon[0])
        return [start for start in after_colon if end < 0 or start < end][-1]
    return starts[-1]


def _listed(upper: str) -> str:
    """Return a pattern of one of the letters, or of several as in `A, B and (C)`."""
    return rf"\(?[{upper}](?![A-Za-z0-9_])[)*.:]{{0,4}}(?:(?:,? (?:and|or) |, ?)\(?[{upper}](?![A-Za-z0-9_])[)*.:]{{0,4}}){{0,9}}"


def _is_word(letter: str, after: str) -> bool:
    """Return whether the letter is the article or pronoun of a sentence: `the answer is a bird`."""
    return letter in "aAiI" and bool(re.match(rf"\s+(?!{_FUNCTION_WORD})[a-z]", after))
