"""Every snapshot that a repository has: its working tree, its releases and its runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.evidence.snapshot import Snapshot, working_tree
from tasks.repository.git import git
from tasks.runs import runs


def all_snapshots(root: Path) -> Iterator[Snapshot]:
    """Yield the working tree, then releases, then the runs that have ended; the newest of each first."""
    yield working_tree(root)
    tags = git(root, "for-each-ref", "--sort=-creatordate", "--format=%(refname:strip=2) %(*objectname) %(objectname)", "refs/tags/release")
    for name, commit, *_ in (line.split() for line in tags.splitlines()):
        yield Snapshot(root, name, commit)
    for run_id, commit in runs.ended_commits(root).items():
        yield Snapshot(root, run_id, commit)
