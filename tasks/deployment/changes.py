"""What a deployment changed on the server: one line for each thing that it looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Action = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True)
class Change:
    """One thing on the server, and what was done about it."""

    kind: str
    name: str
    action: Action


def bring_about(kind: str, name: str, wanted: Any, present: Any, create: Callable[[], object], update: Callable[[], object]) -> Change:
    """Create what is not there (`present` is None), update what is otherwise than wanted, and leave the rest alone."""
    if present is None:
        create()
        return Change(kind, name, "created")
    if present != wanted:
        update()
        return Change(kind, name, "updated")
    return Change(kind, name, "unchanged")
