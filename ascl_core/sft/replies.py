"""Reading what a chat model was asked to reply as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)


def read_object(text: str, keys: Collection[str]) -> dict[str, Any] | None:
    """Return the JSON object that the whole text is, in a code fence or not; None unless it has exactly these keys.

    >>> read_object('{"label": "CYB"}', ["label"])
    {'label': 'CYB'}
    >>> read_object('Sure: {"label": "CYB"}', ["label"]) is None
    True
    """
    fenced = _FENCE.fullmatch(text.strip())
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and set(value) == set(keys) else None
