"""Whether the repository is one in which runs and releases can work: checked before a run and by `ascl doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ascl_core.errors import WorkspaceError
from ascl_core.text import counted
from tasks.repository.changes import changes_from_head
from tasks.repository.git import commit_of, git, short_name, unmerged
from tasks.repository.released import RELEASES
from tasks.repository.remote_check import Check

_NOT_IN_A_PATH = "#?%,:;*[]{}|\\\"'`$"
"""Characters that a database URL, a list of folders, a pattern or a list of options would read as something else."""
_NO_ROOM = (  # a ref of the pipeline, refs that git cannot have beside it, and how one of them is renamed
    (f"refs/heads/{RELEASES}", "refs/heads/{0}/*", "git branch -m {name} {new}"),
    (f"refs/heads/{RELEASES}", "refs/remotes/origin/{0}/*", "git push origin origin/{name}:refs/heads/{new} :{name} && git fetch --prune"),
    ("refs/heads/runs/…", "refs/heads/runs", "git branch -m {name} {new}"),
    ("refs/heads/runs/…", "refs/remotes/origin/runs", "git push origin origin/{name}:refs/heads/{new} :{name} && git fetch --prune"),
    ("refs/tags/release/…", "refs/tags/release", "git tag {new} {name} && git tag -d {name}"),
)


def path_check(root: Path) -> Check:
    """Check that every tool takes the repository's path for what it is."""
    path = str(root.resolve())
    odd = sorted({one for one in path if one in _NOT_IN_A_PATH or not one.isprintable()})
    if not odd:
        return Check("path", "ok", path)
    shown = path.encode("utf-8", "backslashreplace").decode()
    found = f"{shown} contains {' '.join(ascii(one) for one in odd)}, which databases and option lists read as something else"
    return Check("path", "error", found, "rename the folder, or clone the repository into another one")


def git_checks(root: Path) -> Iterator[Check]:
    """Yield what is wrong with the repository, or with git; if nothing is, its commit."""
    try:
        yield from _checks(root)
    except WorkspaceError as error:
        yield Check("git", "error", f"{root}: {error.problem}", error.hint or "")


def _checks(root: Path) -> Iterator[Check]:
    top = git(root, "rev-parse", "--show-toplevel")
    if os.path.realpath(top) != os.path.realpath(root):
        found = f"{root} is a folder of the git repository {top}, and must be a repository of its own"
        yield Check("git", "error", found, "clone ascl beside it, or add it as a submodule")
        return
    head = commit_of(root, "HEAD")
    if head is None:
        yield Check("git", "error", f"{root} has no commit", "git add . && git commit")
        return
    yield from _colliding(root)
    if conflicts := unmerged(root):
        found = f"a merge is not finished: conflicts in {', '.join(conflicts[:3])}"
        yield Check("git", "error", found, "resolve them, git add them, and git commit; docs/robustness.md says how for each file")
        return
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        yield Check("git history", "warning", "a shallow clone: releases and approvals cannot be compared", "git fetch --unshallow")
    if count := len(changes_from_head(root)):
        yield Check("git", "warning", f"{head[:7]}, and {counted(count, 'file')} not committed", "commit them, so that records name them")
    else:
        yield Check("git", "ok", head[:7])


def _colliding(root: Path) -> Iterator[Check]:
    """Yield each ref, here or at `origin`, beside which git cannot have those of the pipeline."""
    for ours, pattern, rename in _NO_ROOM:
        for ref in git(root, "for-each-ref", "--format=%(refname)", pattern.format(RELEASES)).splitlines():
            if "*" not in pattern and ref != pattern:
                continue  # git takes a name for all that is below it, too: the pipeline's own refs
            name = short_name(ref)
            new = name.replace("/", "-") if "/" in name else f"{name}-old"
            where = "at origin " if ref.startswith("refs/remotes/") else ""
            found = f"{name} {where}leaves no room for {ours.split('/', 2)[2]}, which the pipeline makes"
            yield Check("git refs", "error", found, rename.format(name=name, new=new))
