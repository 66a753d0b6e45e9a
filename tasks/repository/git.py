"""Git, by its command line: the only reader of its repositories that is always right."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ascl_core.errors import WorkspaceError

_OF_THE_PERSON = ("GIT_SSH", "GIT_SSL", "GIT_ASKPASS", "GIT_PROXY", "GIT_HTTP", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
"""Variables that say how git reaches other machines and where its settings are; the others name a repository and are ignored."""
_NO = 1
"""The exit status for "no"; other ones are failures."""
_ASKS_NOTHING = {"GIT_TERMINAL_PROMPT": "0"}


def git(
    root: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: str = "",
    timeout_s: float | None = None,
) -> str:
    """Return what `git` prints with these arguments and `given` as its input, in `root` whatever repository the environment names.

    `WorkspaceError` if it fails, or has not ended after `timeout_s`.
    """
    done = _run(root, *arguments, environment=environment, given=given, timeout_s=timeout_s)
    return done.stdout.decode(errors="replace").strip()


def commit_of(root: Path, revision: str) -> str | None:
    """Return the commit that a revision names, 40 hexadecimal digits; None if there is no such revision.

    `WorkspaceError` if git refuses to look, as in a folder that belongs to somebody else.
    """
    done = _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", may_deny=True)
    return done.stdout.decode().strip() or None


def resolve(root: Path, revision: str) -> str | None:
    """Return the commit that a revision names here, or a branch of that name at `origin`; None if there is neither."""
    return commit_of(root, revision) or commit_of(root, f"refs/remotes/origin/{revision}")


def head_of(root: Path, branch: str) -> str | None:
    """Return the head of a branch, here or at `origin` if that is ahead of it, as in a clone; None if there is neither."""
    here, there = commit_of(root, f"refs/heads/{branch}"), commit_of(root, f"refs/remotes/origin/{branch}")
    return there if here is None or (there and is_ancestor(root, here, there)) else here


def is_uncommitted(root: Path, path: str) -> bool:
    """Return whether a file has uncommitted changes; an ignored one never has."""
    return bool(git(root, "status", "--porcelain", "--", path))


def is_ancestor(root: Path, older: str, newer: str) -> bool:
    """Return whether `older` is an ancestor of `newer`, or `newer` itself."""
    return _run(root, "merge-base", "--is-ancestor", older, newer, may_deny=True).returncode == 0


def show(root: Path, commit: str, path: Path, *, missing: bytes | None = None) -> bytes:
    """Return the bytes of a file at that commit, or `missing` if it is not there; without `missing`, `WorkspaceError`."""
    if missing is not None and not git(root, "ls-tree", commit, "--", str(path)):
        return missing
    return _run(root, "cat-file", "blob", f"{commit}:{path}").stdout


def export(root: Path, commit: str, path: Path, into: Path) -> Path:
    """Write the folder or file `path` as of that commit under `into`, and return its new path."""
    packed = _run(root, "archive", "--format=tar", commit, "--", str(path)).stdout
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(into, filter="data")
    except tarfile.FilterError as error:
        problem = f"a link leads out of the repository: {error.tarinfo.name}"
        raise WorkspaceError(problem, file=path, field=commit, hint="commit the file itself instead of a link") from None
    return into / path


def _run(
    root: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: str = "",
    timeout_s: float | None = None,
    may_deny: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run git; `WorkspaceError` if it fails, for which with `may_deny` the status for "no" does not count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_OF_THE_PERSON)}
    env = {**kept, **_ASKS_NOTHING, **(environment or {})}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, env=env, capture_output=True, check=False, input=given.encode(), timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        problem = f"git {arguments[0]} had no answer after {timeout_s:.0f} s"
        raise WorkspaceError(problem, file=root, hint="git remote -v, and check that it can be reached") from None
    if done.returncode != 0 and not (may_deny and done.returncode == _NO):
        messages = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise WorkspaceError(f"git {arguments[0]} failed: {messages[-1]}", file=root, hint="git status, and fix what it says")
    return done
