"""What a check of this machine or of a store says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """One thing that a run needs, and whether it is there."""

    name: str
    level: Literal["ok", "warning", "error"]
    found: str
    hint: str = ""
