"""Push to the remote and pull from it, with retries if the connection fails."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ascl_core.errors import WorkspaceError
from tasks.registry.paths import DVC_FOLDER, TO_PUSH
from tasks.repository import dvc, dvc_config
from tasks.repository.remote_check import Fault, find_fault
from tasks.repository.remotes import CLEARTEXT, Remote, read_remote, secrets_in_configuration
from tasks.repository.retrying import ATTEMPTS, spaced_attempts


def push(root: Path) -> int:
    """Copy to the remote what it lacks of what `dvc.lock` names, and return the number of files.

    `WorkspaceError` names the remote and the problem; nothing is lost, and the next push sends the rest.
    """
    before = stamp(root)
    moved = transfer(root, "push")
    clear_pending(root, before)
    return moved


def is_push_pending(root: Path) -> bool:
    """Return whether something was recorded that no push has sent yet."""
    return (root / TO_PUSH).exists()


def stamp(root: Path) -> int | None:
    """Return when something was last recorded that no push has sent yet, in ns; None if everything was sent."""
    return (root / TO_PUSH).stat().st_mtime_ns if (root / TO_PUSH).exists() else None


def clear_pending(root: Path, before: int | None) -> None:
    """Note that everything was sent that was recorded at `before`."""
    if stamp(root) == before:
        (root / TO_PUSH).unlink(missing_ok=True)


def pull(root: Path, *, force: bool = False) -> int:
    """Fetch everything that `dvc.lock` names from the remote into the cache and the working tree; return the number of files.

    Without `force`, `WorkspaceError` if a file would be lost that is not in the cache.
    """
    return transfer(root, "pull", *(["--force"] if force else []))


def require_remote(root: Path, command: str) -> Remote:
    """Return the remote; `WorkspaceError` if there is none, or if a configuration file of DVC has credentials in it."""
    dvc.require_configured(root)
    dvc_config.follow_environment(root)
    if secrets := secrets_in_configuration(root):
        raise WorkspaceError(CLEARTEXT.format(secrets[0].key), file=root / secrets[0].file, hint=secrets[0].hint)
    remote = read_remote(root)
    if remote is None:
        raise WorkspaceError(f"there is no remote to {command} with", file=root / DVC_FOLDER, hint="ascl remote set s3://BUCKET/PREFIX")
    return remote


def transfer(root: Path, command: str, *arguments: str, attempts: int = ATTEMPTS) -> int:
    """Push or pull, with retries if the remote does not answer or the connection breaks; return the number of files."""
    remote = require_remote(root, command)
    for _ in spaced_attempts(attempts):
        found, done = find_fault(remote), None
        if found is None:
            done = dvc.run_exclusively(root, command, *arguments)
            dvc.check_disk(root, done)
            if done.returncode == 0:
                return _moved(done.stdout)
            found = find_fault(remote)
        if found is not None and not found.transient:
            break
    raise _error(command, remote, found, done)


def _error(command: str, remote: Remote, found: Fault | None, done: subprocess.CompletedProcess[str] | None) -> WorkspaceError:
    problem = found.problem if found else dvc.error_line(done) if done else "it did not answer"
    kept = "nothing is lost, and this sends the rest: ascl push" if command == "push" else "then: ascl pull"
    hint = f"{found.hint if found else 'ascl remote check'}; {kept}"
    return WorkspaceError(f"the {command} failed: {problem}", file=remote, hint=hint)


def _moved(output: str) -> int:
    """Return how many files DVC reports that it pushed or fetched."""
    return sum(int(number) for number in re.findall(r"(\d+) files? (?:pushed|fetched)", output))
