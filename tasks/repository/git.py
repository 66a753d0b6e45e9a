"""What is asked of git, by its command: the only sure reader of its repositories."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ascl_core.errors import WorkspaceError

_OF_THE_PERSON = ("GIT_SSH", "GIT_SSL", "GIT_ASKPASS", "GIT_PROXY", "GIT_HTTP", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
"""How a person's git reaches others and where its settings are; every other variable names a repository, and none counts here."""
_NO = 1
"""The status by which git answers no; another one says that it could not look."""
_ASKS_NOTHING = {"GIT_TERMINAL_PROMPT": "0"}


def git(
    root: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
    timeout_s: float | None = None,
) -> str:
    """What `git` with these arguments, and `given` to read, prints in that repository, whatever the environment names.

    `WorkspaceError` where it fails, or has not ended after `timeout_s`.
    """
    return _run(root, arguments, environment, given, timeout_s).decode(errors="replace").strip()


def commit_of(root: Path, revision: str) -> str | None:
    """Return the commit that a revision names, 40 hexadecimal digits; None where it names none.

    `WorkspaceError` where git refuses to look, as in a folder of another owner: that says nothing about the revision.
    """
    arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    done = _ended(root, arguments)
    if done.returncode == _NO:
        return None
    return _checked(root, arguments, done).decode().strip()


def named(root: Path, revision: str) -> str | None:
    """The commit that a revision names here, or that a branch of that name has at `origin`; None where there is neither."""
    return commit_of(root, revision) or commit_of(root, f"refs/remotes/origin/{revision}")


def head_of(root: Path, branch: str) -> str | None:
    """The head of a branch: that at `origin` where it has more than the one here, as in a clone of another machine; None without any."""
    here, there = commit_of(root, f"refs/heads/{branch}"), commit_of(root, f"refs/remotes/origin/{branch}")
    return there if here is None or (there and is_ancestor(root, here, there)) else here


def is_uncommitted(root: Path, path: str) -> bool:
    """Whether a file is in no commit as it is now; not where git is to ignore it."""
    return bool(git(root, "status", "--porcelain", "--", path))


def is_ancestor(root: Path, older: str, newer: str) -> bool:
    """Whether everything in `older` is in `newer`, too."""
    arguments = ("merge-base", "--is-ancestor", older, newer)
    done = _ended(root, arguments)
    if done.returncode == _NO:
        return False
    _checked(root, arguments, done)
    return True


def show(root: Path, commit: str, path: Path, *, missing: bytes | None = None) -> bytes:
    """The bytes of a file at that commit; where it has none `missing`, or `WorkspaceError` without that."""
    if missing is not None and not git(root, "ls-tree", commit, "--", str(path)):
        return missing
    return _run(root, ("cat-file", "blob", f"{commit}:{path}"))


def export(root: Path, commit: str, path: Path, into: Path) -> Path:
    """Write the folder or file `path` of the repository as it was at that commit under `into`, and return where it is."""
    packed = _run(root, ("archive", "--format=tar", commit, "--", str(path)))
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(into, filter="data")
    except tarfile.FilterError as error:
        problem = f"a link leads out of the repository: {error.tarinfo.name}"
        raise WorkspaceError(problem, file=path, field=commit, hint="commit the file itself in its place") from None
    return into / path


def _run(
    root: Path,
    arguments: tuple[str, ...],
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
    timeout_s: float | None = None,
) -> bytes:
    return _checked(root, arguments, _ended(root, arguments, environment, given, timeout_s))


def _ended(
    root: Path,
    arguments: tuple[str, ...],
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_OF_THE_PERSON)}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=root,
            env={**kept, **_ASKS_NOTHING, **(environment or {})},
            capture_output=True,
            check=False,
            input=(given or "").encode(),
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        problem = f"git {arguments[0]} had no answer after {timeout_s:.0f} s"
        raise WorkspaceError(problem, file=root, hint="git remote -v, and see whether it can be reached") from None


def _checked(root: Path, arguments: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> bytes:
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise WorkspaceError(f"git {arguments[0]} failed: {said[-1]}", file=root, hint="git status, and fix what it says")
    return done.stdout
