"""Checks of the texts of one rule: they become part of a prompt, so they are treated as untrusted input."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ascl_core.rules.corpus import Rule, Taxonomy
from ascl_core.rules.findings import Finding, PlacedRule
from ascl_core.rules.loading import TAXONOMY_FILE
from ascl_core.rules.personal_data import personal_data
from ascl_core.rules.rendering import fold

_TEMPLATE_TOKENS = re.compile(
    r"<\|[^<>\n]{1,40}\|>"  # ChatML, Llama 3, Phi, DeepSeek
    r"|<\s*/?\s*[a-z][^<>\n]{0,60}>"  # any tag: think, tool_call, s, start_of_turn, function=…
    r"|\[/?[A-Z_]{3,20}\]|<</?SYS>>"  # Llama 2 and Mistral
    r"|\{\s*\"(?:name|role|arguments|function)\"\s*:"  # the JSON of a call or a turn
    r"|(?:^|[\n.!?]\s*)(?:system|user|assistant|human)\s*:"
    r"|###\s*(?:instruction|response|system)",
    re.IGNORECASE,
)
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass|skip)\b[^.]{0,40}"
    r"\b(?:previous|prior|above|earlier|preceding|all|any|other|your|these|system)\b[^.]{0,30}"
    r"\b(?:instructions?|rules?|prompts?|messages?|guidelines|polic(?:y|ies)|safeguards)\b"
    r"|\byou are now\b|\bfrom now on,? (?:you|always|never)\b|\bpretend (?:to be|that you|you are)\b|\bact as (?:if you|an? unrestricted)\b"
    r"|\bdeveloper mode\b|\bdo anything now\b|\bnew instructions?\s*:"
    r"|\b(?:reveal|print|repeat|show|output) (?:me )?(?:your|the) (?:system|hidden|secret|initial) (?:prompt|message|instructions?)\b"
    r"|\balways (?:say|answer|reply|respond)(?: with)? (?:yes|sure)\b|\bcall (?:the|this|a) tool\b|\bconsult_safety_rules\b",
    re.IGNORECASE,
)
_URL = re.compile(
    r"\b(?:https?|ftps?|file|data|javascript|mailto):\S+|\bwww\.\S+|(?<![@\w.-])(?:[a-z0-9-]+\.)+(?:com|org|net|io|edu|gov|info|biz|dev|app|ai|co|ru|cn|de|uk)\b",
    re.IGNORECASE,
)
# Words that German, French, Spanish, Italian or Dutch write the same way (a, in, so, an, on, was, of) are left out.
_COMMONEST_WORDS = (
    "and are but by does for from give has have help here how if is it its may might not or other people say that the their them they "
    "this to what when where which who with you your"
)
_ENGLISH = frozenset(_COMMONEST_WORDS.split())
_MIN_ENGLISH_SHARE = 0.15
_MIN_LATIN_SHARE = 0.9


def check_rule_text(placed: PlacedRule) -> Iterator[Finding]:
    """Everything wrong with the texts of one rule; the language is judged by its main text."""
    for field, text in _texts(placed.rule):
        for code, message, mend in text_problems(text):
            yield placed.error(code, f"{field} {message}", mend)
    if not is_english(placed.rule.text):
        yield placed.warning("language", "text does not look like English", "write the rule in English")


def check_taxonomy_text(taxonomy: Taxonomy) -> Iterator[Finding]:
    """Everything wrong with the texts of the taxonomy: the model reads its ids and names, too."""
    for category_id, category in taxonomy.categories.items():
        for text in (category_id, category.name, category.title):
            for code, message, mend in text_problems(text):
                yield Finding("error", code, f"{category_id} {message}", mend, TAXONOMY_FILE)


def text_problems(text: str) -> Iterator[tuple[str, str, str]]:
    """Code, message and mend of everything that must not be in a text that a model or a person reads."""
    for code, characters in hidden_characters(text).items():
        yield code, f"contains {', '.join(sorted(characters))}", "delete these characters"
    folded = fold(text)
    if match := _TEMPLATE_TOKENS.search(folded):
        yield "template_token", f"contains the chat or tool token {match[0].strip()!r}", "delete it"
    if match := _INJECTION.search(folded):
        yield "prompt_injection", f"gives the model an order: {match[0]!r}", "state the rule"
    if match := _URL.search(folded):
        yield "url", f"contains the address {match[0]!r}", "name the place in words"
    if kind := personal_data(folded):
        yield "personal_data", f"contains {kind}", "delete it"


def hidden_characters(text: str) -> dict[str, set[str]]:
    """The characters nobody sees, as code points by kind: control, bidirectional and other invisible ones."""
    found: dict[str, set[str]] = {}
    for character in text:
        category = unicodedata.category(character)
        if character == "\n" or (category[0] != "C" and category not in ("Zl", "Zp")):
            continue
        invisible = "bidi_character" if _is_bidi(character) else "invisible_character"
        found.setdefault(invisible if category == "Cf" else "control_character", set()).add(f"U+{ord(character):04X}")
    return found


def is_english(text: str) -> bool:
    """Whether the letters are Latin and 15 % of the words are among the commonest that are English alone."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    letters = "".join(words)
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    common = sum(word in _ENGLISH for word in words)
    return bool(words) and latin >= _MIN_LATIN_SHARE * len(letters) and common >= _MIN_ENGLISH_SHARE * len(words)


def _texts(rule: Rule) -> Iterator[tuple[str, str]]:
    yield from (("title", rule.title), ("text", rule.text), ("query", rule.query))
    for field in ("allowed", "disallowed", "keywords"):
        yield from ((field, text) for text in getattr(rule, field))
    yield from (("examples", example.prompt) for example in rule.examples)
    yield from (("safe_completion", phrase) for element in rule.safe_completion for phrase in element.any_of)
    yield from (("provenance", text) for text in (rule.provenance.author, rule.provenance.source, rule.provenance.licence))


def _is_bidi(character: str) -> bool:
    return character in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
