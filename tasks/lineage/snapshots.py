"""Every state of all artifacts that a repository knows: its working tree, its releases and its runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.evidence.snapshot import Place, working_tree
from tasks.repository.git import git
from tasks.runs import runs


def all_places(root: Path) -> Iterator[Place]:
    """The working tree, then releases, then the runs that have ended; the newest of each first."""
    yield working_tree(root)
    tags = git(root, "for-each-ref", "--sort=-creatordate", "--format=%(refname:strip=2) %(*objectname) %(objectname)", "refs/tags/release")
    for name, commit, *_ in (line.split() for line in tags.splitlines()):
        yield Place(root, name, commit)
    for run_id, commit in runs.ended_commits(root).items():
        yield Place(root, run_id, commit)
