"""All runs of a repository at a glance: which go on, which were left, how the others ended."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ascl_core.errors import AsclError
from tasks.runs.runs import FOLDER, ended_runs, last_touched, lock_file, read_run

State = Literal["running", "open", "ended"]


@dataclass(frozen=True)
class RunState:
    """One run as a line of a list."""

    id: str
    state: State
    """`open`: it has not ended, and no process works on it: it waits, or was left."""
    gate: str
    rules: str
    """The digest of its rules; blank where it has not ended."""
    when: str
    """When something in its worktree last changed; blank where that was collected."""


def survey(root: Path) -> list[RunState]:
    """Those that have not ended first, then those that have, newest first."""
    return [*_going_on(root), *(_ended(root, run_id) for run_id in ended_runs(root))]


def is_worked_on(root: Path, run_id: str) -> bool:
    """Whether a process works in the run's worktree now."""
    with open(lock_file(root, run_id), "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _going_on(root: Path) -> Iterator[RunState]:
    ended = set(ended_runs(root))
    for place in sorted((root / FOLDER).glob("*/"), key=last_touched, reverse=True):
        if place.name not in ended:
            yield RunState(place.name, "running" if is_worked_on(root, place.name) else "open", "", "", _when(place))


def _ended(root: Path, run_id: str) -> RunState:
    try:
        run = read_run(root, run_id)
    except (AsclError, ValueError):
        return RunState(run_id, "ended", "unreadable", "", "")
    gate = run.get("gate")
    decision = "" if gate is None else "passed" if gate.get("passed") else "not passed"
    return RunState(run_id, "ended", decision, str(run.get("rules", {}).get("digest", "")), _when(root / FOLDER / run_id))


def _when(place: Path) -> str:
    return f"{datetime.fromtimestamp(last_touched(place), UTC):%Y-%m-%d %H:%M} UTC" if place.exists() else ""
