"""From what a person types to an artifact at a place.

data/models/ifpo                 a path: in the working tree
.                                the candidate checkpoint of the working tree
20261125-retrain-0a1b2c3d        a run, a release's tag, `released` or a commit: its candidate checkpoint
release/1:data/sft/ascl.jsonl    a path there
3f9ab2                           the beginning of the SHA-256 of an artifact, at least four digits, wherever it is
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ascl_core.errors import DataError, WorkspaceError
from tasks.evidence.graph import Found, read_graph
from tasks.evidence.snapshot import Place, working_tree
from tasks.lineage.snapshots import all_places
from tasks.registry.stages import CHECKPOINT, STAGES
from tasks.runs.recorded import commit_named

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")
_SHOWN = 8


def find(root: Path, text: str) -> Found:
    """What a person means; `DataError` or `WorkspaceError` where it is nothing, or may be several things: then it lists them."""
    name, colon, path = text.rpartition(":")
    if colon and name != "sha256":
        return _at(_place(root, name), path)
    if text == ".":
        return _at(working_tree(root), CHECKPOINT)
    if text in {artifact.path for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)} or (root / text).exists():
        return _at(working_tree(root), text.rstrip("/"))
    if (prefix := _PREFIX.fullmatch(text)) and (found := list(_by_digest(root, prefix[1]))):
        return _only(text, found)
    return _at(_place(root, text), CHECKPOINT)


def commit_in(root: Path, text: str) -> Place | None:
    """The run, release or commit that a person names, with or without a path in it; None for anything else."""
    name, colon, path = text.rpartition(":")
    if (not colon and (root / path).exists()) or name in (".", "sha256"):
        return None
    commit = commit_named(root, name if colon else path)
    return Place(root, name if colon else path, commit) if commit else None


def _place(root: Path, name: str) -> Place:
    if name == ".":
        return working_tree(root)
    commit = commit_named(root, name)
    if commit is None:
        known = ", ".join([place.name for place, _ in zip(all_places(root), range(_SHOWN), strict=False)][1:]) or "none yet"
        raise WorkspaceError(
            "no artifact's path or digest, no run, no release and no commit", field="X", value=name, hint=f"runs and releases: {known}"
        )
    return Place(root, name, commit)


def _at(place: Place, path: str) -> Found:
    graph = read_graph(place)
    by_record = {node.stage.record.path: node for node in graph.nodes.values()}
    if path in by_record:
        return Found(path, by_record[path].sha256, by_record[path], graph)
    node = graph.producers.get(path)
    if node is None:
        known = ", ".join(sorted(graph.producers)[:_SHOWN]) or "nothing: ascl run"
        raise DataError(f"no record in {place.name} says who made it", file=path, hint=f"recorded there: {known}")
    return Found(path, node.outputs[path], node, graph)


def _by_digest(root: Path, prefix: str) -> Iterator[Found]:
    for place in all_places(root):
        graph = read_graph(place)
        for path, sha256, node in graph.artifacts():
            if sha256.startswith(prefix):
                yield Found(path, sha256, node, graph)
        for node in graph.nodes.values():
            if node.sha256.startswith(prefix):
                yield Found(node.stage.record.path, node.sha256, node, graph)


def _only(text: str, found: list[Found]) -> Found:
    different = {(one.path, one.sha256): one for one in reversed(found)}
    if len({one.sha256 for one in found}) > 1:
        listed = "; ".join(f"{one.sha256[:16]} {one.path} in {one.place.name}" for one in list(different.values())[:_SHOWN])
        raise DataError("several artifacts have a SHA-256 that begins so", field="X", value=text, hint=f"give more of it: {listed}")
    return found[0]
