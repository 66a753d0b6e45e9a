"""The packages that a lock file pins."""

from __future__ import annotations

import re

FOLDER = "requirements"
"""Where the locks are."""
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\#]+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    """Return the version of each package that a lock pins, by its normalised name.

    >>> pins("numpy==2.3.5\\nGreat_Expectations==1.24.1  # why\\n--hash=sha256:0\\n")
    {'numpy': '2.3.5', 'great-expectations': '1.24.1'}
    """
    return {normalised(name): version for name, version in _PIN.findall(text)}


def normalised(name: str) -> str:
    """Return the one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
