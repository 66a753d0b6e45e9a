"""Running DVC: its command line, one call at a time, and what its failures mean.

Whatever changes DVC's state is done by its command line and waits for other processes. No module outside this folder uses DVC.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from ascl_core.errors import WorkspaceError
from ascl_core.text import some
from tasks.registry.paths import DVC_CACHE, DVC_CONFIG, DVC_YAML
from tasks.repository.git import own_environment
from tasks.repository.locking import exclusive, lock_file

_THREADS = threading.RLock()
_RETRIES = {"AWS_MAX_ATTEMPTS": "3", "AWS_RETRY_MODE": "standard"}


def require_configured(root: Path) -> None:
    """Check that the repository has its DVC configuration; `WorkspaceError` if not."""
    if not (root / DVC_CONFIG).is_file():
        raise WorkspaceError("DVC is not set up here", file=root / DVC_CONFIG, hint="git checkout -- .dvc .dvcignore")


def call(root: Path, *arguments: str, hint: str) -> None:
    """Run DVC with these arguments when no other process does; `WorkspaceError` with the hint if it fails."""
    done = run_exclusively(root, *arguments)
    if done.returncode != 0:
        check_disk(root, done)
        raise WorkspaceError(f"dvc {arguments[0]} failed: {error_line(done)}", file=root / DVC_YAML, hint=hint)


def run_exclusively(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run DVC with these arguments when no other process does."""
    with one_at_a_time(root):
        return run(root, *arguments)


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run DVC with these arguments; the caller holds `one_at_a_time`."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    environment = {**_RETRIES, **own_environment(), "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Let one thread of one process use DVC at a time."""
    with _THREADS, exclusive(lock_file(root, "dvc")):
        yield


def check_disk(root: Path, done: subprocess.CompletedProcess[str]) -> None:
    """Raise `WorkspaceError` if the disk was full, and remove what DVC wrote only in part."""
    if "No space left on device" not in done.stderr and "Disk quota exceeded" not in done.stderr:
        return
    for half in re.findall(r"-> '([^']+\.tmp)'", done.stderr):
        Path(half).unlink(missing_ok=True)
    hint = "free some space (ascl runs collect; dvc gc --workspace --all-branches --all-tags), and run again: what was finished is kept"
    raise WorkspaceError(f"no space left on the disk: dvc {done.args[4]} stopped", file=root / DVC_CACHE, hint=hint)


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return DVC's error message in one line; of a list that follows it, the first entries."""
    if done.returncode < 0:
        return f"DVC was {killed(done)}"
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["no message"]
    start = next((number for number, line in enumerate(lines) if line.startswith("ERROR")), len(lines) - 1)
    message = lines[start].removeprefix("ERROR: ")
    listed = [line.strip() for line in takewhile(lambda line: not line.startswith("Is your cache"), lines[start + 1 :])]
    return f"{message} {some(listed)}" if message.endswith(":") else message


def killed(done: subprocess.CompletedProcess[str]) -> str:
    """Return which signal ended DVC."""
    return f"killed by signal {-done.returncode}"
