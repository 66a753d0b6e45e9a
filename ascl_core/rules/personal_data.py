"""Recognising personal data in a text by its form: e-mail, telephone, payment card, bank account, IP address."""

from __future__ import annotations

import ipaddress
import re

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DIGITS = re.compile(r"(?<![\w.])\+?\(?\d[\d ()/.-]{6,}\d(?!\w)")
_DECIMAL = re.compile(r"\d+\.\d+")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b")
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:])")
_DIGIT = re.compile(r"\d")


def personal_data(text: str) -> str | None:
    """Return the kind of personal data that the text contains, in words; None if none was recognised.

    >>> personal_data("call +49 30 1234567"), personal_data("since 2026-01-01")
    ('a telephone number', None)
    """
    if "@" in text and _EMAIL.search(text):
        return "an e-mail address"
    digits = len(_DIGIT.findall(text))  # most texts have too few for the slower patterns
    if ((digits >= 4 and text.count(".") >= 3) or text.count(":") >= 2) and any(_is_ip_address(match) for match in _ADDRESS.findall(text)):
        return "an IP address"
    if digits >= 2 and any(_is_iban(match) for match in _IBAN.findall(text)):
        return "a bank account number"
    numbers = (match for match in _DIGITS.findall(text) if not _DECIMAL.fullmatch(match)) if digits >= 8 else ()
    return next((kind for number in numbers if (kind := _number_kind(number))), None)


def _number_kind(text: str) -> str | None:
    digits = re.sub(r"\D", "", text)
    if 13 <= len(digits) <= 19 and _passes_luhn(digits):
        return "a payment card number"
    # Nine digits and more, so that a date is no telephone number; fewer only with the sign of a country code.
    return "a telephone number" if (8 if text.startswith("+") else 9) <= len(digits) <= 15 else None


def _passes_luhn(digits: str) -> bool:
    """Verify the check digit of ISO/IEC 7812: every second digit from the right is doubled, its digits summed."""
    doubled = (int(digit) * (2 if position % 2 else 1) for position, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    """Verify the check digits of ISO 13616: the first four characters go last, letters count from 10, modulo 97 is 1."""
    compact = text.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _is_ip_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False
