"""Parts of a benchmark that must end in time: each has a budget, and one that fails or takes longer does not end the others."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a part found."""

    lines: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    differences: dict[str, tuple[float, float]] = field(default_factory=dict)
    """From the CPU's result, and the tolerance."""

    @property
    def passed(self) -> bool:
        """Return whether every difference is within its tolerance; NaN is not."""
        return all(found <= most for found, most in self.differences.values())


@dataclass(frozen=True)
class Part:
    """One part of the check."""

    name: str
    budget: float
    """Seconds."""
    run: Callable[[], Outcome]


@dataclass(frozen=True)
class Row:
    """How a part ended, after how many seconds."""

    part: str
    ended: str
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def passed(self) -> bool:
        """Return whether nothing is wrong; a part that did not fit is not wrong."""
        return self.ended not in ("failed", "stopped") and self.outcome.passed

    def __str__(self) -> str:
        lines = [*self.outcome.lines]
        for name, (found, most) in self.outcome.differences.items():
            lines.append(f"{name}: differs by {found:.1e}, tolerance {most:.0e}{'' if found <= most else ', TOO MUCH'}")
        return "\n".join([f"{self.part} ({self.ended}, {self.seconds:.1f} s)", *(f"  {line}" for line in lines)])


class _OverBudget(BaseException):
    """Ends a part; no library catches it."""


def run_part(part: Part, left: float) -> Row:
    """Run a part within its budget, unless less than that is left of the time (both in seconds)."""
    if part.budget > left:
        return Row(part.name, "not run", 0.0, Outcome([f"it may take {part.budget:.0f} s, and {max(left, 0):.0f} s are left"]))
    started = time.monotonic()

    def stop(*_: Any) -> None:
        raise _OverBudget

    before = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, part.budget)
    try:
        ended, outcome = "run", part.run()
    except _OverBudget:
        ended, outcome = "stopped", Outcome([f"it took more than its {part.budget:g} s"])
    except Exception as error:  # the other parts go on
        traceback.print_exc()
        ended, outcome = "failed", Outcome([f"{type(error).__name__}: {error}"])
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
    return Row(part.name, ended, time.monotonic() - started, outcome)
