"""Pushing to the remote and pulling from it, again where the connection failed."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from ascl_core.errors import WorkspaceError
from tasks.repository import dvc, dvc_config
from tasks.repository.remote_check import Fault, fault
from tasks.repository.remotes import SHOWN_IN_CLEAR, Remote, read_remote, secrets_in_configuration

OWED = Path(".ascl/to-push")
"""There from a recording until a push has sent what was recorded."""
_ATTEMPTS = 4
_WAIT_S = 1.0


def push(root: Path) -> int:
    """Copy to the remote what it does not have of what `dvc.lock` names; how many files that were.

    Tries again where the connection failed. `WorkspaceError` names the remote and what is wrong; what is made stays, and the
    next push sends the rest.
    """
    owed = _stamp(root / OWED)
    moved = transfer(root, "push")
    if _stamp(root / OWED) == owed:
        (root / OWED).unlink(missing_ok=True)
    return moved


def owes_push(root: Path) -> bool:
    """Whether something was recorded that no push has sent since."""
    return (root / OWED).exists()


def pull(root: Path, *, force: bool = False) -> int:
    """Bring everything that `dvc.lock` names from the remote into the cache and into place; how many files came.

    Without `force`, `WorkspaceError` where a file would be lost that is in no cache.
    """
    return transfer(root, "pull", *(["--force"] if force else []))


def transfer(root: Path, command: str, *arguments: str, attempts: int = _ATTEMPTS) -> int:
    """Push or pull, again where the remote does not answer or the connection broke; how many files moved."""
    dvc.ensure(root)
    dvc_config.follow_environment(root)
    if secrets := secrets_in_configuration(root):
        raise WorkspaceError(SHOWN_IN_CLEAR.format(secrets[0].key), file=root / secrets[0].file, hint=secrets[0].hint)
    remote = read_remote(root)
    if remote is None:
        raise WorkspaceError(f"there is no remote to {command} with", file=root / ".dvc", hint="ascl remote set s3://BUCKET/PREFIX")
    for attempt in range(attempts):
        if attempt:
            time.sleep(_WAIT_S * 2 ** (attempt - 1))
        found, done = fault(remote), None
        if found is None:
            done = dvc.run_alone(root, command, *arguments)
            dvc.heed_full_disk(root, done)
            if done.returncode == 0:
                return _moved(done.stdout)
            found = fault(remote)
        if found is not None and not found.passing:
            break
    raise _untransferred(command, remote, found, done)


def _untransferred(command: str, remote: Remote, found: Fault | None, done: subprocess.CompletedProcess[str] | None) -> WorkspaceError:
    problem = found.problem if found else dvc.complaint(done) if done else "it did not answer"
    kept = "what was made is kept here, and the rest goes with: ascl push" if command == "push" else "then again: ascl pull"
    hint = f"{found.hint if found else 'ascl remote check'}; {kept}"
    return WorkspaceError(f"the {command} failed: {problem}", file=remote, hint=hint)


def _moved(said: str) -> int:
    """How many files a push or a pull has moved, as DVC says it."""
    return sum(int(number) for number in re.findall(r"(\d+) files? (?:pushed|fetched)", said))


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None
