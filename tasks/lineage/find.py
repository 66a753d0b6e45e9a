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

from ascl_core.errors import DataError, WorkspaceError
from tasks.evidence.graph import Found, Graph, read_graph
from tasks.evidence.snapshot import Snapshot, working_tree
from tasks.lineage.snapshots import all_snapshots
from tasks.registry.stages import CHECKPOINT, STAGES
from tasks.runs.recorded import commit_named

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")
_SHOWN = 8


def find(root: Path, text: str) -> Found:
    """Return the artifact that a person means; `DataError` or `WorkspaceError` if there is none, or several, which it lists."""
    name, colon, path = text.rpartition(":")
    if colon and name != "sha256":
        return _find_path(_snapshot(root, name), path)
    if text in {artifact.path for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)} or (
        text != "." and (root / text).exists()
    ):
        return _find_path(working_tree(root), text.rstrip("/"))
    if (prefix := _PREFIX.fullmatch(text)) and (found := list(_by_digest(root, prefix[1]))):
        return _only(text, found)
    return _find_path(_snapshot(root, text), CHECKPOINT)


def snapshot_named(root: Path, text: str) -> Snapshot | None:
    """Return the run, release or commit that a person names, with or without a path in it; None for anything else."""
    name, colon, path = text.rpartition(":")
    if (not colon and (root / path).exists()) or name in (".", "sha256"):
        return None
    commit = commit_named(root, name if colon else path)
    return Snapshot(root, name if colon else path, commit) if commit else None


def _snapshot(root: Path, name: str) -> Snapshot:
    if name == ".":
        return working_tree(root)
    commit = commit_named(root, name)
    if commit is None:
        known = ", ".join(one.name for one in islice(all_snapshots(root), 1, _SHOWN)) or "none yet"
        problem = "neither an artifact's path or digest, nor a run, a release or a commit"
        raise WorkspaceError(problem, field="X", value=name, hint=f"runs and releases: {known}")
    return Snapshot(root, name, commit)


def _find_path(snapshot: Snapshot, path: str) -> Found:
    graph = read_graph(snapshot)
    found = next((one for one in _artifacts(graph) if one.path == path), None)
    if found is None:
        known = ", ".join(sorted(graph.producers)[:_SHOWN]) or "nothing: ascl run"
        raise DataError(f"no record in {snapshot.name} says who made it", file=path, hint=f"recorded there: {known}")
    return found


def _artifacts(graph: Graph) -> Iterator[Found]:
    """Yield all outputs, then all records."""
    for path, sha256, node in graph.artifacts():
        yield Found(path, sha256, node, graph)
    for node in graph.nodes.values():
        yield Found(node.stage.record.path, node.sha256, node, graph)


def _by_digest(root: Path, prefix: str) -> Iterator[Found]:
    for snapshot in all_snapshots(root):
        yield from (found for found in _artifacts(read_graph(snapshot)) if found.sha256.startswith(prefix))


def _only(text: str, found: list[Found]) -> Found:
    if len({one.sha256 for one in found}) > 1:
        different = {(one.path, one.sha256): one for one in reversed(found)}
        listed = "; ".join(f"{one.sha256[:16]} {one.path} in {one.snapshot.name}" for one in list(different.values())[:_SHOWN])
        raise DataError(
            "several artifacts have a SHA-256 with these first digits", field="X", value=text, hint=f"give more of it: {listed}"
        )
    return found[0]
