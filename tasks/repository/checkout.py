"""A clone on a machine that has nothing: from the repository's URL and the remote, with a cache of its own."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from ascl_core.errors import WorkspaceError
from tasks.repository import dvc, dvc_config
from tasks.repository.git import git, named
from tasks.repository.remotes import refuse_credentials

_ANY_TRANSPORT = re.compile(r"^[a-z][a-z0-9+.-]*::", re.IGNORECASE)


def clone(url: str, ref: str, into: Path) -> Path:
    """A clone of the repository at `ref` in the folder `into`, with a DVC cache of its own and the remote of the commit or of ASCL_REMOTE.

    A clone of the same URL that is there already is brought up to date and used again, caches and all. `WorkspaceError` where
    something else is there, where git cannot reach the URL, or where it knows no such revision.
    """
    checked_git_url(url)
    if not (into / ".git").exists():
        _clone(url, into)
    elif git(into, "remote", "get-url", "origin") != url:
        raise WorkspaceError("another repository is there", file=into, field="url", value=url, hint="give another folder")
    else:
        git(into, "fetch", "--quiet", "--prune", "--tags", "--force", "origin")
    commit = named(into, f"refs/remotes/origin/{ref}") or named(into, ref)
    if commit is None:
        raise WorkspaceError(
            "no such git revision", file=url, field="ref", value=ref, hint="give a commit, a branch or a tag of that repository"
        )
    git(into, "checkout", "--quiet", "--force", "--detach", commit)
    dvc.ensure(into)
    dvc_config.follow_environment(into)
    return into


def checked_git_url(url: str) -> str:
    """The URL; `ConfigError` where it has credentials in it, and `WorkspaceError` where git would take it for something else."""
    refuse_credentials(url, field="url")
    if not url or url.startswith("-") or _ANY_TRANSPORT.match(url):
        raise WorkspaceError("not the URL of a git repository", field="url", value=url, hint="such as https://host/owner/name.git")
    return url


def _clone(url: str, into: Path) -> None:
    """Clone beside and rename, so that a clone is whole or not there."""
    if into.exists() and any(into.iterdir()):
        raise WorkspaceError("the folder is not empty", file=into, hint="give an empty one, or one that does not exist")
    into.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    try:
        git(into.parent, "clone", "--quiet", "--no-checkout", "--", url, str(beside / "clone"))
        if into.exists():
            into.rmdir()
        (beside / "clone").rename(into)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
