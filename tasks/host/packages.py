"""The packages that a lock file pins."""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.utils import canonicalize_name

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\#]+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    """Return the version of each package that a lock pins, by its normalised name.

    >>> pins("numpy==2.3.5\\nGreat_Expectations==1.24.1  # why\\n--hash=sha256:0\\n")
    {'numpy': '2.3.5', 'great-expectations': '1.24.1'}
    """
    return {canonicalize_name(name): version for name, version in _PIN.findall(text)}


def public(versions: Mapping[str, str]) -> dict[str, str]:
    """Return versions without their local part, such as `+cpu`."""
    return {name: version.partition("+")[0] for name, version in versions.items()}
