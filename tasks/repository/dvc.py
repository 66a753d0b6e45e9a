"""Running DVC: its command line, one call at a time, and what its failures mean.

Everything that changes DVC's state is done by its command line and waits for other processes. No module outside this room talks to DVC.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ascl_core.errors import WorkspaceError
from tasks.repository.locking import alone

_THREADS = threading.RLock()
_RETRIES = {"AWS_MAX_ATTEMPTS": "3", "AWS_RETRY_MODE": "standard"}


def ensure(root: Path) -> None:
    """`WorkspaceError` unless the repository has its DVC configuration."""
    if not (root / ".dvc" / "config").is_file():
        raise WorkspaceError("DVC is not set up here", file=root / ".dvc" / "config", hint="git checkout -- .dvc .dvcignore")


def call(root: Path, *arguments: str, hint: str) -> None:
    """Run DVC with these arguments, after whoever else does; `WorkspaceError` with the hint where it fails."""
    done = run_alone(root, *arguments)
    if done.returncode != 0:
        heed_full_disk(root, done)
        raise WorkspaceError(f"dvc {arguments[0]} failed: {complaint(done)}", file=root / "dvc.yaml", hint=hint)


def run_alone(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run DVC with these arguments, after whoever else does."""
    with one_at_a_time(root):
        return run(root, *arguments)


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run DVC with these arguments; the caller holds `one_at_a_time`."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    environment = {**_RETRIES, **os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """One talk with DVC at a time, among the threads of this process and among processes."""
    with _THREADS, alone(root / ".ascl" / "locks" / "dvc.lock"):
        yield


def heed_full_disk(root: Path, done: subprocess.CompletedProcess[str]) -> None:
    """`WorkspaceError` where the disk was full; what DVC left half written is removed."""
    if "No space left on device" not in done.stderr and "Disk quota exceeded" not in done.stderr:
        return
    for half in re.findall(r"-> '([^']+\.tmp)'", done.stderr):
        Path(half).unlink(missing_ok=True)
    hint = "free some space (ascl runs collect; dvc gc --workspace --all-branches --all-tags), and run again: what was finished is kept"
    raise WorkspaceError(f"no space left on the disk: dvc {done.args[4]} stopped", file=root / ".dvc" / "cache", hint=hint)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Return what went wrong, as DVC says it in one line."""
    if done.returncode < 0:
        return f"it was {killed(done)}"
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["it said nothing"]
    return next((line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")), lines[-1])


def killed(done: subprocess.CompletedProcess[str]) -> str:
    """Return the signal that ended DVC, in words."""
    return f"killed by signal {-done.returncode}"
