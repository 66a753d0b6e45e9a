"""Checks of every text in the rules: they become part of a prompt, so they are treated as untrusted input."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from ascl_core.rules.checks.registry import CorpusUnderCheck, check
from ascl_core.rules.corpus import Rule
from ascl_core.rules.findings import Finding
from ascl_core.rules.loading import TAXONOMY_FILE
from ascl_core.rules.personal_data import personal_data
from ascl_core.text import fold_line

_TEMPLATE_TOKENS = re.compile(
    r"<\|[^<>\n]{1,40}\|>"  # ChatML, Llama 3, Phi, DeepSeek
    r"|<\s*/?\s*[a-z][^<>\n]{0,60}>"  # any tag: think, tool_call, s, start_of_turn, function=…
    r"|\[/?[A-Z_]{3,20}\]|<</?SYS>>"  # Llama 2 and Mistral
    r"|\{\s*\"(?:name|role|arguments|function)\"\s*:"  # the JSON of a call or a turn
    r"|(?:^|[.!?]\s*)(?:system|user|assistant|human)\s*:"
    r"|###\s*(?:instruction|response|system)",
    re.IGNORECASE,
)
_ROLE_MARKER = re.compile(r"\s*(?:system|user|assistant|human)\s*:", re.IGNORECASE)
_DROP = (
    r"\b(?:ignor(?:e[sd]?|ing)|disregard(?:s|ed|ing)?|forget(?:s|ting)?|overrid(?:e|es|ing|den)|bypass(?:es|ed|ing)?|skip(?:s|ped|ping)?)\b"
)
_ORDERS = r"\b(?:instructions?|rules?|prompts?|messages?|guidelines|polic(?:y|ies)|safeguards)\b"
_EARLIER = r"(?:above|foregoing|preceding|earlier|previously|so far|before (?:this|that|it|now)|(?:said|told|given|stated|written) before)"
_INJECTION = re.compile(
    rf"{_DROP}[^.]{{0,40}}\b(?:previous|prior|above|earlier|preceding|all|any|other|your|these|system)\b[^.]{{0,30}}{_ORDERS}"
    rf"|{_DROP}[^.]{{0,40}}{_ORDERS}[^.]{{0,20}}\b{_EARLIER}\b"
    rf"|{_DROP} (?:(?:all|any|of|the|this|that|what(?:ever)?|is|was|stands|comes|came|(?:every|any)thing) ){{1,5}}{_EARLIER}\b"
    rf"|\b(?:do not|don.?t|never|must not|stop|no longer) (?:follow(?:ing)?|obey(?:ing)?|heed(?:ing)?|comply with|listen(?:ing)? to) "
    rf"(?:(?:any|all|of|the) ){{0,3}}(?:previous|prior|above|earlier|preceding|system|your|these|other) (?:\w+ )?{_ORDERS}"
    rf"|\b(?:supersedes?|outranks?|cancels?|replaces?|(?:takes?|has|have) precedence over)\b"
    rf" (?:all|any|every)(?: of)?(?: the)? (?:\w+ )?{_ORDERS}"
    r"|\byou are now\b|\bfrom now on,? (?:you|always|never)\b|\bpretend (?:to be|that you|you are)\b|\bact as (?:if you|an? unrestricted)\b"
    r"|\bdeveloper mode\b|\bdo anything now\b|\bnew instructions?\s*:"
    r"|\b(?:reveal|print|repeat|show|output) (?:me )?(?:your|the) (?:system|hidden|secret|initial) (?:prompt|message|instructions?)\b"
    r"|\balways (?:say|answer|reply|respond)(?: with)? (?:yes|sure)\b|\bcall (?:the|this|a) tool\b|\bconsult_safety_rules\b",
    re.IGNORECASE,
)
_INJECTION_STEMS = (
    *("ignor", "disregard", "forget", "overrid", "bypass", "skip", "follow", "obey", "heed", "comply", "listen"),
    *("supersede", "outrank", "cancel", "replace", "precedence", "you are now", "from now on", "pretend ", "act as ", "developer mode"),
    *("do anything now", "new instruction", "reveal", "print", "repeat", "show", "output", "always ", "call ", "consult_safety_rules"),
)
"""One of these is in every order that `_INJECTION` finds; looking for them first is ten times as fast."""
_URL = re.compile(
    r"\b(?:https?|ftps?|file|data|javascript|mailto):\S+|\b[a-z][a-z0-9+.-]{1,15}://\S+|\bwww\.\S+"
    r"|(?<![@\w.-])(?:[a-z0-9-]+\.)+(?!js/)[a-z]{2,24}/\S+"
    r"|(?<![@\w.-])(?:[a-z0-9-]+(?:\.|\[\.\]|\(\.\)))+(?:com|org|net|io|edu|gov|info|biz|dev|app|ai|co|ru|cn|de|uk|eu|xyz|onion|ly|gg)\b"
    r"|(?<![@\w.-])(?:t\.me|youtu\.be|goo\.gl|is\.gd)\b",
    re.IGNORECASE,
)
# Words that German, French, Spanish, Italian or Dutch write the same way (a, in, so, an, on, was, of) are left out.
_COMMONEST_WORDS = (
    "and are but by does for from give has have help here how if is it its may might not or other people say that the their them they "
    "this to what when where which who with you your"
)
_ENGLISH = frozenset(_COMMONEST_WORDS.split())
# For texts too short for a share of common words. Words that English has too (con, die, non, per, come) are left out.
_COMMONEST_FOREIGN_WORDS = (
    "aber auf bei das dem ein eine einem einen einer für ich ist kein mit nicht oder sich sie sind und von wie wir zu zum zur "
    "aux avec ce cette dans elle est ils je le les mais ne nous ou pas qui sont sur une vous "
    "como cómo está muy para pero por puedo que qué una chi di della gli il sono een het niet voor zijn"
)
_FOREIGN = frozenset(_COMMONEST_FOREIGN_WORDS.split())
_MIN_ENGLISH_SHARE = 0.15
_MIN_LATIN_SHARE = 0.9
# Letters of other scripts above the Latin letters that they look like.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһӏԛԝкмтвнгпАВЕКМНОРСТУХІЈЅԌԜαβγεηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡɩ",
    "aeopcyxijsdhlqwkmtbhrnABEKMHOPCTYXIJSGWabyenikvoptuxwABEZHIKMNOPTYXiagi",
)
_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_TOKEN_SIGNS = re.compile(r"[<\[{:#]")
_ADDRESS_SIGNS = re.compile(r"[.:]\S")
_WORD = re.compile(r"[^\W\d_]+")
_UNPRINTABLE = re.compile(r"[^\n -~]")
_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE"})


@check()
def taxonomy_texts(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that the ids and names of the taxonomy, which the model reads too, are plain text."""
    if corpus.taxonomy is None:
        return
    taxonomy = corpus.taxonomy
    texts = [(key, text) for key, category in taxonomy.categories.items() for text in (key, category.name, category.title)]
    texts += [(key, text) for names in (taxonomy.jurisdictions, taxonomy.areas) for key, name in names.items() for text in (key, name)]
    for key, text in texts:
        for code, message, hint in text_problems(text):
            yield Finding("error", code, f"{key} {message}", hint, TAXONOMY_FILE)


@check()
def rule_texts(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that every field of a rule that the model or a person reads is plain English text."""
    for located in corpus.rules:
        for field, text in _texts(located.rule):
            problems, foreign = _read(text)
            for code, message, hint in problems:
                yield located.error(code, f"{field} {message}", hint)
            if field != "provenance" and (not is_english(text) if field == "text" else foreign):
                yield located.warning("language", f"{field} does not look like English: {text[:60]!r}", "write the rule in English")


def text_problems(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield code, message and hint for everything that must not be in a text that a model or a person reads."""
    line = fold_line(text)
    latin = line
    if _UNPRINTABLE.search(text):
        for code, characters in hidden_characters(text).items():
            yield code, f"contains {', '.join(sorted(characters))}", "delete these characters"
        if word := mixed_word(text):
            yield "mixed_scripts", f"contains the word {word!r}, in letters of more than one script", "write it in Latin letters"
        latin = _latin(line)
    if _TOKEN_SIGNS.search(latin) and (match := _TEMPLATE_TOKENS.search(latin) or _role_marker(text)):
        yield "template_token", f"contains the chat or tool token {match[0].strip()!r}", "delete it"
    if _has_injection_stem(latin.lower()) and (match := _INJECTION.search(latin)):
        yield "prompt_injection", f"gives the model an order: {match[0]!r}", "state the rule"
    if _ADDRESS_SIGNS.search(latin) and (match := _URL.search(latin)):
        yield "url", f"contains the address {match[0]!r}", "name the source in words"
    if kind := personal_data(line):
        yield "personal_data", f"contains {kind}", "delete it"


@lru_cache(maxsize=1 << 17)  # rules share texts, and two snapshots of the rules share most of them
def _read(text: str) -> tuple[tuple[tuple[str, str, str], ...], bool]:
    """Return the problems of a text, and whether it is in another language."""
    return tuple(text_problems(text)), is_foreign(text)


def _has_injection_stem(text: str) -> bool:
    for stem in _INJECTION_STEMS:  # noqa: SIM110 - `any` takes twice the time, and most texts have none
        if stem in text:
            return True
    return False


def hidden_characters(text: str) -> dict[str, set[str]]:
    """Return the code points of control, bidirectional and other invisible characters, by kind."""
    found: dict[str, set[str]] = {}
    for character in text:
        category = unicodedata.category(character)
        if character == "\n" or (category[0] != "C" and category not in ("Zl", "Zp")):
            continue
        invisible = "bidi_character" if character in _BIDI else "invisible_character"
        found.setdefault(invisible if category == "Cf" else "control_character", set()).add(f"U+{ord(character):04X}")
    return found


def mixed_word(text: str) -> str | None:
    """Return the first word with letters of two alphabets that look alike, such as Latin and Cyrillic."""
    return next((word for word in _WORD.findall(text) if len({_script(letter) for letter in word} & _SCRIPTS) > 1), None)


@lru_cache(maxsize=1 << 17)  # as above
def is_english(text: str) -> bool:
    """Return whether the letters are Latin and 15 % of the words are common words of English alone."""
    words = _WORD.findall(text.lower())
    common = sum(word in _ENGLISH for word in words)
    return bool(words) and _is_latin(words) and common >= _MIN_ENGLISH_SHARE * len(words)


def is_foreign(text: str) -> bool:
    """Return whether a text of any length is in another script, or has more common words of other languages than of English."""
    words = _WORD.findall(text.lower())
    if text.isascii() and _FOREIGN.isdisjoint(words):
        return False
    return not _is_latin(words) or sum(word in _FOREIGN for word in words) > sum(word in _ENGLISH for word in words)


def _is_latin(words: list[str]) -> bool:
    letters = "".join(words)
    return letters.isascii() or sum(_script(letter) == "LATIN" for letter in letters) >= _MIN_LATIN_SHARE * len(letters)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _latin(line: str) -> str:
    """Return a folded line without accents, with look-alike letters of other scripts replaced by Latin ones."""
    letters = (c for c in unicodedata.normalize("NFKD", line) if unicodedata.category(c) != "Mn")
    return "".join(letters).translate(_LOOK_ALIKES)


def _role_marker(text: str) -> re.Match[str] | None:
    """Match the name of a role at the start of any line; `fold` removes line breaks, so each line is folded by itself."""
    return next((match for line in text.splitlines() if (match := _ROLE_MARKER.match(_latin(fold_line(line))))), None)


def _texts(rule: Rule) -> Iterator[tuple[str, str]]:
    yield from (("title", rule.title), ("text", rule.text), ("query", rule.query))
    for field in ("allowed", "disallowed", "keywords"):
        yield from ((field, text) for text in getattr(rule, field))
    yield from (("examples", example.prompt) for example in rule.examples)
    yield from (("safe_completion", phrase) for element in rule.safe_completion for phrase in element.any_of)
    yield from (("provenance", text) for text in (rule.provenance.author, rule.provenance.source, rule.provenance.licence))
