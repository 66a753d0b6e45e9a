"""From what a person types to an artifact in a snapshot.

data/models/ifpo                 a path: in the working tree
.                                the candidate checkpoint of the working tree
20261125-retrain-0a1b2c3d        a run, a release's tag, `released` or a commit: its candidate checkpoint
release/1:data/sft/ascl.jsonl    a path there
3f9ab2                           the first digits of an artifact's SHA-256, at least four, in any snapshot
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ascl_core.errors import DataError, WorkspaceError, nearest
from tasks.evidence.graph import Found, find_artifact, read_graph
from tasks.evidence.snapshot import Snapshot, working_tree
from tasks.registry.stages import CHECKPOINT, STAGES
from tasks.repository.git import git
from tasks.runs import runs
from tasks.runs.recorded import commit_named

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")
_SHOWN = 8
_PATHS = {artifact.path for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)}


def find(root: Path, text: str) -> Found:
    """Return the artifact that a person means; `DataError` or `WorkspaceError` if there is none, or several, which it lists."""
    name, colon, path = text.rpartition(":")
    if colon and name != "sha256":
        return find_artifact(_snapshot(root, name), path)
    if text in _PATHS or (text != "." and (root / text).exists()):
        return find_artifact(working_tree(root), text.rstrip("/"))
    if (prefix := _PREFIX.fullmatch(text)) and (found := list(_by_digest(root, prefix[1]))):
        return _only(text, found)
    return find_artifact(_snapshot(root, text), CHECKPOINT)


def snapshot_named(root: Path, text: str) -> Snapshot | None:
    """Return the run, release or commit that a person names, with or without a path in it; None for anything else."""
    name, colon, path = text.rpartition(":")
    if (not colon and (root / path).exists()) or name in (".", "sha256"):
        return None
    commit = commit_named(root, name if colon else path)
    return Snapshot(root, name if colon else path, commit) if commit else None


def all_snapshots(root: Path) -> Iterator[Snapshot]:
    """Yield the working tree, then releases, then the runs that have ended; the newest of each first."""
    yield working_tree(root)
    tags = git(root, "for-each-ref", "--sort=-creatordate", "--format=%(refname:strip=2) %(*objectname) %(objectname)", "refs/tags/release")
    for name, commit, *_ in (line.split() for line in tags.splitlines()):
        yield Snapshot(root, name, commit)
    for run_id, commit in runs.ended_commits(root).items():
        yield Snapshot(root, run_id, commit)


def _snapshot(root: Path, name: str) -> Snapshot:
    if name == ".":
        return working_tree(root)
    commit = commit_named(root, name)
    if commit is None:
        names = [one.name for one in islice(all_snapshots(root), 1, None)]
        known = f"runs and releases: {', '.join(names[:_SHOWN])}" if names else "there is no run or release yet"
        problem = "neither an artifact's path or digest, nor a run, a release or a commit"
        raise WorkspaceError(problem, value=name, hint=nearest(name, [*_PATHS, *names], f"{known}; ascl stages list names the artifacts"))
    return Snapshot(root, name, commit)


def _by_digest(root: Path, prefix: str) -> Iterator[Found]:
    for snapshot in all_snapshots(root):
        yield from (found for found in read_graph(snapshot).artifacts() if found.sha256.startswith(prefix))


def _only(text: str, found: list[Found]) -> Found:
    if len({one.sha256 for one in found}) > 1:
        different = {(one.path, one.sha256): one for one in reversed(found)}
        listed = "; ".join(f"{one.sha256[:16]} {one.path} in {one.snapshot.name}" for one in list(different.values())[:_SHOWN])
        raise DataError(
            "several artifacts have a SHA-256 with these first digits", field="X", value=text, hint=f"give more of it: {listed}"
        )
    return found[0]
