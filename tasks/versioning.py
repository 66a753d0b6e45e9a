"""The one place that talks to DVC: what is stale and why, recording, fetching, pushing.

Reading is done in this process, under a lock, as DVC's own path locks do not hold between threads. Everything
that changes DVC's state is done by its command line, one at a time, and waits for other processes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.errors import WorkspaceError
from tasks.stages import Stage

_THREADS = threading.RLock()
_MISSING = "deleted"
_WORDS = {"modified": "changed", "new": "is new", "deleted": "is missing", "not in cache": "is not in the cache"}


@dataclass(frozen=True)
class Staleness:
    """Why a stage's recorded outputs cannot stand for what it would produce now."""

    reasons: tuple[str, ...]
    """What changed, each in a few words; empty where nothing did."""
    restorable: bool
    """True where only outputs are missing: those that are recorded are still right."""

    def __bool__(self) -> bool:
        return bool(self.reasons)


def ensure(root: Path) -> None:
    """`WorkspaceError` unless the repository has its DVC configuration."""
    if not (root / ".dvc" / "config").is_file():
        raise WorkspaceError("DVC is not set up here", file=root / ".dvc" / "config", mend="git checkout -- .dvc .dvcignore")


def staleness(root: Path, stages: list[Stage]) -> dict[str, Staleness]:
    """For each stage by name why it is stale, compared with `dvc.lock`; looks at nothing upstream of it."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    ensure(root)
    logging.getLogger("dvc").setLevel(logging.ERROR)
    with _alone(root):
        try:
            with Repo(str(root)) as repo:
                found = repo.status(targets=[stage.name for stage in stages])
        except DvcException as error:
            raise WorkspaceError(
                f"DVC cannot read its state: {error}", file=root / "dvc.lock", mend=f"git checkout -- dvc.lock, or: {_repair(error)}"
            ) from error
    return {stage.name: _staleness(stage, found.get(stage.name, [])) for stage in stages}


def record(root: Path, stage: Stage) -> None:
    """Take the stage's outputs into the cache and write them, with its dependencies, to `dvc.lock`."""
    _dvc(root, "commit", "--force", "--quiet", stage.name, mend="check the space and the permissions of .dvc/cache, and run again")


def restore(root: Path, stage: Stage) -> bool:
    """Bring the recorded outputs back from the cache or the remote; False where neither has all of them."""
    for command in ("checkout", "pull"):
        with _alone(root):
            done = _run(root, command, "--force", "--quiet", stage.name)
        if done.returncode == 0 and all((root / artifact.path).exists() for artifact in stage.outputs.values()):
            return True
    return False


def push(root: Path) -> None:
    """Copy to the remote what it does not have of what `dvc.lock` names."""
    _dvc(root, "push", "--quiet", mend="check the remote: dvc remote list")


def _dvc(root: Path, *arguments: str, mend: str) -> None:
    with _alone(root):
        done = _run(root, *arguments)
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["it said nothing"]
        what = next((line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")), lines[-1])
        raise WorkspaceError(f"dvc {arguments[0]} failed: {what}", file=root / "dvc.yaml", mend=mend)


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One talk with DVC at a time, among the threads of this process and among processes."""
    lock = root / ".ascl" / "locks" / "dvc.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _THREADS, open(lock, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _staleness(stage: Stage, problems: list[Any]) -> Staleness:
    reasons: list[str] = []
    outputs_missing = True
    for problem in problems:
        if not isinstance(problem, dict):
            reasons.append({"changed command": "its command changed"}.get(str(problem), str(problem)))
            outputs_missing = False
            continue
        for kind, changes in problem.items():
            missing = {change for change in _leaves(changes)} <= {_MISSING, "not in cache"}
            outputs_missing &= kind == "changed outs" and missing
            reasons.extend(_reason(path, change) for path, change in changes.items())
    if not reasons:
        return Staleness((), False)
    never_ran = all(
        problem == {"changed outs": _all_missing(stage)} for problem in problems if isinstance(problem, dict) and "changed outs" in problem
    )
    return Staleness(tuple(reasons) if not _never_recorded(reasons) else ("never run before",), outputs_missing and not never_ran)


def _leaves(changes: dict[str, Any]) -> Iterator[str]:
    for change in changes.values():
        yield from _leaves(change) if isinstance(change, dict) else (str(change),)
