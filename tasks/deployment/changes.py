"""Changes that a deployment makes on the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Action = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True)
class Change:
    """One object on the server, and what was done about it."""

    kind: str
    name: str
    action: Action


def apply(kind: str, name: str, wanted: Any, present: Any, create: Callable[[], object], update: Callable[[], object]) -> Change:
    """Create the object if it is missing (`present` is None), or update it if it differs from `wanted`; return what was done."""
    if present == wanted:
        return Change(kind, name, "unchanged")
    (create if present is None else update)()
    return Change(kind, name, "created" if present is None else "updated")
