"""The words with which an answer is hedged, denied or corrected, and several answers that are given in one breath."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

HEDGE = r"(?:maybe|possibly|perhaps|probably|potentially|even|also|just|else|(?:is it|it is|it's|it (?:could|may|might) be))"
HEDGED = re.compile(
    r"\b(?:could|may|might|can)(?: also| even| well)? be\b|\b(?:maybe|perhaps|possibly|possible|guess(?:es)?)\b"
    r"|^\W*(?:or )?is it\b|\?[^\w?]*$"
    r"|可能|也许|也許|或许|或許|かもしれ|\b(?:vielleicht|könnte|quizás?|tal vez|puede ser|podría ser|peut-être|pourrait être"
    r"|forse|potrebbe|talvez|может быть|возможно)\b",
    re.I,
)
OR = r"(?:or|oder|ou|или|або|або|lub|eller|veya|hoặc|atau|或者|或是|或|还是|還是|または|もしくは|또는)"
AND = r"(?:and|und|et|и|och|og|dan|和|与|與|及|と|그리고)"
SENTENCE = re.compile(r"[^\n]+?(?:[.!?](?=\s|$)|$)", re.M)
WRONG = r"(?i:(?:(?:is|are) )?(?:\w+ly )?(?:wrong|incorrect|false)|(?:is|are)(?:n't| not| never)\b)\b"
_IT_IS = r"(?:that )?(?:it|this|that|the answer)(?:'s| is| was| would be)"
_FOREIGN_NOT = (
    r"(?:\b(?:no (?:es|son|elijo|elegiría|creo que sea)|nicht|kein\w*|n'est pas|ce n'est pas|pas|non è|não é|nie(?: jest)?|не"
    r"|inte|ikke|niet|bukan(?:lah)?|ni|không phải(?: là)?|ليست?|לא|nu este)"
    r"|(?:并|並)?(?:不|非)(?:应|應|能|会|會|要|可能|太可能)?(?:是|选|選|为|為|等于|等於)?|没有|沒有|ไม่ใช่)"
)
DENIED = (
    r"(?:(?:\b(?:can)?not|n't|\bnever)(?: (?:be|equal|choose|pick|select|go (?:for|with)|say|mean|answer|take))?"
    r"|\b(?:anything|everything|all|any) (?:but|except)|\bexcept(?: for)?"
    r"|\b(?:other|rather) than|\binstead of|\bfar from|\b(?:ruled?|ruling) out|\b(?:exclud|eliminat|reject|discard)\w+"
    rf"|(?:\b(?:can)?not|n't) (?:think|believe|say) {_IT_IS}|\bdoubt {_IT_IS}|\bunlikely (?:to be|that it is)|{_FOREIGN_NOT})"
)
"""What denies the word after it."""
NOT_RIGHT = (
    r"(?:(?:is|are|was|were|would be) (?:\w+ly )?(?:wrong|incorrect|false|mistaken|excluded|ruled out|impossible)"
    r"|(?:is|are) (?:just |only |merely )?(?:one|an?) (?:\w+ )?(?:option|possibility|candidate|guess)"
    r"|(?:is|are|was|were|would)(?:n't| not| never)(?: be)?(?: the| my| an?| it)?(?: \w+)?(?: (?:right|correct|answer|solution"
    r"|result|one))?\b"
    r"|(?:es|está|est|ist|è|é) (?:falsch|incorrect[eoa]|faux|fals[oa]|errad[oa]|sbagliat[oa]|incorreto)"
    r"|\?\W*(?:no|nope|wrong)\b|(?:不是|不对|不對|不正确|不正確|是错|是錯|错|錯|ではな|じゃな|では(?:あり|ござい)ません|(?:이"
    r"|가)? ?아(?:니|닙)|değil|नहीं))"
)
"""What denies the word before it."""
NOT_IT = re.compile(
    rf"\b(?:not|never|no|nor|neither|cannot|without|unlike|doubt|hardly|barely|scarcely|wrong|false|incorrect)\b|n't\b"
    rf"|\b(?:opposite|reverse|contrary|antonym|inverse|absence|lack|instead|short|nothing)\b[^.]{{0,20}}\b(?:of|to|like)\b"
    rf"|\b(?:ruled?|ruling) out\b|\b(?:exclud|eliminat|reject|discard|avoid)\w*|{_FOREIGN_NOT}(?: \w+)?$|{DENIED}$"
)
"""What denies a word somewhere after it in its clause."""
_ANSWERS_OFFERED = (
    r"\b(?:some|others|many|people|experts)\b(?: \w+)? (?:says?|thinks?|believes?|claims?|argues?)\b|\beither\b"
    r"|\b(?:options|choices|candidates|possibilities|alternatives|contenders|guesses|(?:possible|candidate|potential) (?:answer"
    r"|number|value|result|option|choice|solution)s?)"
    r"(?: (?:\w+ )?(?:are|include|were|would be|could be)\b|:)"
    r"|\bare (?:both |all )?(?:possible|plausible|options|candidates)\b"
)
ANSWERS_OFFERED = re.compile(_ANSWERS_OFFERED, re.I)
"""Words after which several answers are offered, none of them given."""
OFFERED = re.compile(rf"{_ANSWERS_OFFERED}|\bboth\b|\bdepend\w*\b|\b(?:any|one) of (?!the|its|his|her|my|our)|\bamong\b|\bbetween\b")
"""The same before a word, of which a list has only one."""
_CORRECTS = re.compile(
    r"\b(?:no|wait|actually|sorry|correct(?:ion|ed|ing)|instead|rather|mistake\w*|wrong|incorrect|oops|hmm+|not|better|i mean"
    r"|scratch that"
    r"|reflection|second thoughts?|re-?(?:check|consider|think|calculat|comput|read)\w*|revis\w+)\b|不对|不對|更正|いや|違",
    re.I,
)
_WORD = re.compile(r"[^\W_]+")
_THOUGHT_OVER = 5
"""Words between two answers that are a thought: what follows them is another conclusion, not another guess."""
_BULLET = re.compile(r"\s*(?:[-*•·]\s|\(?(?:\d{1,2}|[a-z])[.)]\s)")
_CONNECTED = (
    r"(?:(?:so|then|or|and|also|hence|thus|therefore|maybe|perhaps|possibly|probably|alternatively|otherwise|else|again|finally|others?"
    r"|i(?:'d| would| also)? (?:think|say|believe|guess|pick|choose)(?: that)?)\b[, :]*)*"
)
_IS = (
    r"\s*(?:(?:'s|is|was|are|equals?|(?:could|may|might|must|would|should|can)(?: also| well| even)? be)\b|="
    r"|:)\s*:?\s*(?:probably |maybe |perhaps |possibly |also |either )*"
)
_LEAD = re.compile(
    rf"\W*{_CONNECTED}(?:(?P<it>(?:it|this|that|he|she|(?:the |my )?(?:final |correct |right |best |possible )?(?:answer|result"
    rf"|solution|choice|option)(?: \d+)?){_IS})"
    rf"|(?P<the>the (?:\w+ ){{1,3}}?){_IS}"
    r"|(?P<foreign>(?:(?:正确|正確)?答案)?(?:可能|也许|或许)?(?:是|为|選|选)|(?:la respuesta )?(?:es|son|puede ser|podría ser)\b"
    r"|c'est|la réponse est|(?:die antwort|es) (?:ist|könnte)"
    r"|(?:la risposta )?è|(?:a resposta )?é|это|ответ\W)\s*)?",
    re.I,
)
_SENTENCE_OF_LINE = re.compile(r"(?:[^.!?;]|[.!?](?!\s|$))+")


def in_one_breath(given: Sequence[tuple[int, int, T]], text: str) -> list[T]:
    """Return the last of the answers given with their spans, and those before it: nothing is thought or corrected in between."""
    kept = [given[-1][2]] if given else []
    for (_, end, value), (start, _, _) in zip(given[-2::-1], given[:0:-1], strict=False):
        between = text[end:start]
        if _CORRECTS.search(between) or (len(_WORD.findall(between)) >= _THOUGHT_OVER and not HEDGED.search(between)):
            break
        kept.append(value)
    return kept[::-1]


def stated(text: str, value: Callable[[str], T | None]) -> tuple[str, list[T]]:
    """Return the form of the last sentences that do nothing but state an answer, as `It is 16` does, and the answers.

    Forms are `led` ("it is", "the answer is", and a subject of any other words that stays the same), `item` and `bare`. The function
    reads the value from what follows, or gives None.
    """
    found: list[tuple[int, int, tuple[str, str, T]]] = []
    for line in re.finditer(r"[^\n]+", text):
        bullet = _BULLET.match(line[0])
        skipped = bullet.end() if bullet else 0
        for sentence in _SENTENCE_OF_LINE.finditer(line[0], skipped):
            lead = _LEAD.match(sentence[0])
            rest = sentence[0][lead.end() if lead else 0 :]
            if (said := value(rest.strip(" *_$().,:'\"`-"))) is None:
                continue
            subject = (lead["the"] or "").lower() if lead else ""
            form = "led" if lead and (lead["it"] or lead["the"] or lead["foreign"]) else "item" if bullet else "bare"
            found.append((line.start() + sentence.start(), line.start() + sentence.end(), (form, subject, said)))
    if not found:
        return "bare", []
    form, subject, _ = found[-1][2]
    values = in_one_breath(found, text)
    alike = []
    for statement in values[::-1]:
        if statement[:2] != (form, subject):
            break
        alike.append(statement[2])
    return form, alike[::-1]
