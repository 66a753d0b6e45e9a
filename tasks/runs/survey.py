"""A list of all runs of a repository, with their state and the decision of the gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ascl_core.errors import AsclError
from tasks.registry.paths import RUNS
from tasks.repository.locking import is_locked
from tasks.runs.runs import ended_runs, last_modified, read_run, run_lock, run_worktrees

State = Literal["running", "open", "ended"]


@dataclass(frozen=True)
class RunState:
    """One run in the list."""

    id: str
    state: State
    """`open`: it has not ended, and no process works on it."""
    gate: str
    rules: str
    """The digest of its rules; empty until it ends."""
    when: str
    """When its worktree last changed; empty if that was collected."""


def survey(root: Path) -> list[RunState]:
    """Return the runs that have not ended, then those that have, newest first."""
    return [*_unfinished(root), *(_ended(root, run_id) for run_id in ended_runs(root))]


def _unfinished(root: Path) -> Iterator[RunState]:
    ended = set(ended_runs(root))
    for worktree in run_worktrees(root):
        if worktree.name not in ended:
            state: State = "running" if is_locked(run_lock(root, worktree.name)) else "open"
            yield RunState(worktree.name, state, "", "", _when(worktree))


def _ended(root: Path, run_id: str) -> RunState:
    try:
        run = read_run(root, run_id)
    except (AsclError, ValueError):
        return RunState(run_id, "ended", "unreadable", "", "")
    gate = run.get("gate")
    decision = "" if gate is None else "passed" if gate.get("passed") else "not passed"
    return RunState(run_id, "ended", decision, str(run.get("rules", {}).get("digest", "")), _when(root / RUNS / run_id))


def _when(worktree: Path) -> str:
    return f"{datetime.fromtimestamp(last_modified(worktree), UTC):%Y-%m-%d %H:%M} UTC" if worktree.exists() else ""
