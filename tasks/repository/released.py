"""The current release: the head of the branch `releases`, here or at `origin`, whichever is ahead.

The plan, runs, the gate, serving and `ascl release` all ask this module. The folder `data/released` of a working tree is a copy of that
head's `data/release`, which git ignores; a run updates it before it starts. Before the first release it contains only its own `.gitignore`,
so that `dvc repro` finds it in a new clone.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ascl_core.artifacts import sha256_tree
from ascl_core.errors import DataError, WorkspaceError
from ascl_core.released import PLACEHOLDER, RELEASE_FILE, read_release
from tasks.registry.paths import RELEASE_COPIES, RELEASE_FOLDER
from tasks.registry.stages import RELEASED
from tasks.repository.git import export, git, head_of, show
from tasks.repository.locking import exclusive, lock_file

RELEASES = "releases"
"""The branch whose head is the current release; every release and every rollback is a commit of it."""
CURRENT = "released"
"""The name by which people refer to the current release."""
_TAG = re.compile(r"release/\d+")


def is_release(name: str) -> bool:
    """Return whether a person names a release, `released` or `release/N`, and no folder and no model of the hub."""
    return name == CURRENT or _TAG.fullmatch(name) is not None


def released_commit(root: Path) -> str | None:
    """Return the commit of the current release, as far as this repository has fetched; None before the first release."""
    return head_of(root, RELEASES)


def release_folder(root: Path, commit: str) -> Path:
    """Return the folder that holds a release in its commit: `data/release`, in old releases `data/released`."""
    return RELEASE_FOLDER if git(root, "ls-tree", commit, "--", f"{RELEASE_FOLDER}/") else Path(RELEASED.path)


def released_tag(root: Path) -> str | None:
    """Return the tag of the current release, such as `release/2`, as its record names it; no signature is checked."""
    commit = released_commit(root)
    if commit is None:
        return None
    try:
        return str(json.loads(show(root, commit, release_folder(root, commit) / RELEASE_FILE))["tag"])
    except (ValueError, KeyError, TypeError):
        raise _unreadable(commit) from None


def is_current(root: Path) -> bool:
    """Return whether `data/released` of the working tree `root` is the current release."""
    with released_folder(root) as folder:
        return folder == root / RELEASED.path


def bring_up_to_date(root: Path) -> bool:
    """Copy the current release to `data/released` of the working tree `root`; return whether that changed it.

    The folder is replaced whole. A process that is killed in between leaves no folder, and the next call writes it.
    """
    target = root / RELEASED.path
    with exclusive(lock_file(root, "released")), released_folder(root) as folder:
        if folder == target:
            return False
        if target.exists():
            target.rename(folder.with_name("before"))
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    return True


@contextmanager
def released_folder(root: Path) -> Iterator[Path]:
    """Yield a folder with the current release: `data/released` of `root` if it is current, else a temporary copy.

    The copy has the same bytes that `bring_up_to_date` would write.
    """
    target, commit = root / RELEASED.path, released_commit(root)
    if commit is None and _holds_nothing(target):
        yield target
        return
    (root / RELEASE_COPIES).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / RELEASE_COPIES, ignore_cleanup_errors=True) as scratch:
        folder = _export(root, commit, Path(scratch)) if commit else Path(scratch) / RELEASED.path
        folder.mkdir(parents=True, exist_ok=True)
        if (target / PLACEHOLDER).is_file():
            shutil.copy2(target / PLACEHOLDER, folder)
        yield target if target.is_dir() and sha256_tree(target) == sha256_tree(folder) else folder


def tracked_hint(root: Path) -> str | None:
    """Return what to do if the repository still has the released files in git's index; None if it has not."""
    listed = git(root, "ls-files", "--", RELEASED.path).splitlines()
    if released_commit(root) is None or not set(listed) - {f"{RELEASED.path}/{PLACEHOLDER}"}:
        return None
    return f"{RELEASED.path} is a copy of the current release, which git need not track: git rm -r --cached {RELEASED.path}, and commit"


def _holds_nothing(folder: Path) -> bool:
    try:
        return read_release(folder)["tag"] is None
    except DataError:
        return False


def _export(root: Path, commit: str, into: Path) -> Path:
    folder = release_folder(root, commit)
    if not git(root, "ls-tree", commit, "--", f"{folder}/"):
        raise _unreadable(commit)
    return export(root, commit, folder, into)


def _unreadable(commit: str) -> WorkspaceError:
    hint = f"git log {RELEASES}; set the branch to the last commit that ascl release made"
    return WorkspaceError(f"the head of the branch {RELEASES} is no release", field=RELEASES, value=commit, hint=hint)
