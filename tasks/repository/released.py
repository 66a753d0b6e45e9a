"""What is released: the head of the branch `releases`, here or at `origin`, whichever has more.

Everybody who asks what is released asks this module: the plan, a run, the gate, serving and `ascl release`. The folder `data/released` of a
working tree is a copy of that head's folder, which git ignores; a run brings it up to date before it starts. Where nothing is released the
folder is empty but for its own `.gitignore`, so that `dvc repro` finds it in a new clone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ascl_core.artifacts import sha256_tree
from ascl_core.errors import DataError, WorkspaceError
from ascl_core.released import PLACEHOLDER, RELEASE_FILE, read_release
from tasks.registry.stages import RELEASED
from tasks.repository.git import export, git, head_of, show
from tasks.repository.locking import alone

RELEASES = "releases"
"""The branch whose head is what is released; every release and every rollback is one commit of it."""
NOW = "released"
"""How a person names what is released now, whichever tag it has."""
_SCRATCH = Path(".ascl") / "released"


def released_commit(root: Path) -> str | None:
    """Return the commit that is released, as far as this repository has fetched; None before the first release."""
    return head_of(root, RELEASES)


def released_tag(root: Path) -> str | None:
    """Return the tag of what is released, such as `release/2`, as its record names it; no signature is checked."""
    commit = released_commit(root)
    if commit is None:
        return None
    try:
        return str(json.loads(show(root, commit, Path(RELEASED.path) / RELEASE_FILE))["tag"])
    except (ValueError, KeyError, TypeError):
        raise _unreadable(commit) from None


def is_current(root: Path) -> bool:
    """Return whether `data/released` of the working tree `root` holds what is released."""
    with released_folder(root) as folder:
        return folder == root / RELEASED.path


def bring_up_to_date(root: Path) -> bool:
    """Make `data/released` of the working tree `root` hold what is released; return whether it changed.

    The folder is replaced whole. A process that is killed in between leaves no folder, and the next call writes it.
    """
    target = root / RELEASED.path
    with alone(root / ".ascl" / "locks" / "released.lock"), released_folder(root) as folder:
        if folder == target:
            return False
        if target.exists():
            target.rename(folder.with_name("before"))
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    return True


@contextmanager
def released_folder(root: Path) -> Iterator[Path]:
    """Yield a folder with what is released: `data/released` of `root` where that holds it, else a copy that is removed after.

    The copy has just the bytes that `bring_up_to_date` would put in place.
    """
    target, commit = root / RELEASED.path, released_commit(root)
    if commit is None and _holds_nothing(target):
        yield target
        return
    (root / _SCRATCH).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / _SCRATCH, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / RELEASED.path
        folder.mkdir(parents=True)
        if commit is not None:
            _export(root, commit, Path(scratch))
        if (target / PLACEHOLDER).is_file():
            shutil.copy2(target / PLACEHOLDER, folder)
        yield target if target.is_dir() and sha256_tree(target) == sha256_tree(folder) else folder


def tracked_hint(root: Path) -> str | None:
    """Return what to do in a repository that still has the released files in git's index; None in others."""
    listed = git(root, "ls-files", "--", RELEASED.path).splitlines()
    if released_commit(root) is None or not set(listed) - {f"{RELEASED.path}/{PLACEHOLDER}"}:
        return None
    return f"{RELEASED.path} is a copy of what is released, and git need not track it: git rm -r --cached {RELEASED.path}, and commit"


def _holds_nothing(folder: Path) -> bool:
    try:
        return read_release(folder)["tag"] is None
    except DataError:
        return False


def _export(root: Path, commit: str, into: Path) -> None:
    if not git(root, "ls-tree", commit, "--", f"{RELEASED.path}/"):
        raise _unreadable(commit)
    export(root, commit, Path(RELEASED.path), into)


def _unreadable(commit: str) -> WorkspaceError:
    hint = f"git log {RELEASES}; set the branch to the last commit that ascl release made"
    return WorkspaceError(f"the head of the branch {RELEASES} is no release", field=RELEASES, value=commit, hint=hint)
