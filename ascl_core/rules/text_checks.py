"""Checks of the text of one rule: it becomes part of a prompt, so it is treated as untrusted input."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator

from ascl_core.rules.loading import Finding, PlacedRule

_TEMPLATE_TOKENS = re.compile(
    r"<\|[^|>\n]{1,40}\|>|</?(?:think|tool_call|tool_response|tools?|s|system|user|assistant)>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>", re.I
)
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.]{0,40}\b(?:previous|prior|above|earlier|all|other|system)\b[^.]{0,30}"
    r"\b(?:instructions?|rules?|prompts?|messages?)\b"
    r"|\byou are now\b|\bfrom now on,? you\b|\bpretend (?:to be|that you)\b|\bdeveloper mode\b|\bjailbreak|\bdo anything now\b"
    r"|\b(?:reveal|print|repeat) (?:your|the) system prompt\b|\bnew instructions?:",
    re.I,
)
_URL = re.compile(r"\b(?:https?|ftp|file|data|javascript):\S+|\bwww\.\S+\.\S+|\b[a-z0-9-]+\.(?:com|org|net|io|ru|cn|info|biz)\b", re.I)
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b")
_PHONE = re.compile(r"(?<![\w.])\+?\d[\d ()/-]{7,}\d(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_IP = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_ENGLISH = frozenset(
    "a an and are as at be by do does for from give has have help here how i if in is it its may me my not of on one or own say so "
    "such that the their them they this to was what when where which who with you your any people person".split()
)


def check_text(placed: PlacedRule) -> Iterator[Finding]:
    """Findings about control characters, template tokens, injected instructions, URLs, personal data and language."""
    for field, text in _texts(placed):
        if bad := sorted({f"U+{ord(c):04X}" for c in text if _is_control(c)}):
            yield placed.finding("error", "control_character", f"{field} contains {', '.join(bad)}", "delete these characters")
        if match := _TEMPLATE_TOKENS.search(text):
            yield placed.finding("error", "template_token", f"{field} contains the chat or tool token {match[0]!r}", "delete it")
        if match := _INJECTION.search(text):
            yield placed.finding("error", "prompt_injection", f"{field} instructs the model: {match[0]!r}", "state the rule, not an order to the model")
        if match := _URL.search(text):
            yield placed.finding("error", "url", f"{field} contains the URL {match[0]!r}", "name the place in words")
        if kind := _personal_data(text):
            yield placed.finding("error", "personal_data", f"{field} contains {kind}", "delete it")
    if not _is_english(placed.rule.text):
        yield placed.finding("warning", "language", "the text does not look like English", "write the rule in English")


def _texts(placed: PlacedRule) -> Iterator[tuple[str, str]]:
    rule = placed.rule
    yield from (("title", rule.title), ("text", rule.text), ("query", rule.query))
    for field in ("allowed", "disallowed", "keywords"):
        yield from ((field, text) for text in getattr(rule, field))
    yield from (("examples", example.prompt) for example in rule.examples)
    yield from (("safe_completion", phrase) for element in rule.safe_completion for phrase in (element.id, *element.any_of))


def _is_control(character: str) -> bool:
    """Control, format (zero-width, bidirectional), private-use and unassigned characters."""
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Cs") and character not in "\n"


def _personal_data(text: str) -> str | None:
    if _EMAIL.search(text):
        return "an e-mail address"
    if any(_is_address(match) for match in _IP.findall(text)):
        return "an IP address"
    if _IBAN.search(text):
        return "a bank account number"
    for match in _PHONE.findall(text):
        digits = re.sub(r"\D", "", match)
        if 13 <= len(digits) <= 19 and _luhn(digits):
            return "a payment card number"
        if 8 <= len(digits) <= 15:
            return "a telephone number"
    return None


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _is_english(text: str) -> bool:
    """At least one word in eight is among the commonest English ones, and the letters are Latin."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    latin = sum(unicodedata.name(c, "").startswith("LATIN") for word in words for c in word)
    letters = sum(len(word) for word in words)
    return bool(words) and latin >= 0.9 * letters and sum(word in _ENGLISH for word in words) * 8 >= len(words)
