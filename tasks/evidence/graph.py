"""The records of a snapshot as a graph: a record reads what another one wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ascl_core.artifacts import sha256_bytes
from ascl_core.errors import DataError, nearest
from tasks.evidence.record import Record, parse_record
from tasks.evidence.snapshot import Snapshot
from tasks.registry.paths import REQUIREMENTS
from tasks.registry.stages import STAGES, Stage
from tasks.repository.git import commit_of, show

_SHOWN = 8


@dataclass(frozen=True)
class Node:
    """One record."""

    stage: Stage
    record: Record
    sha256: str
    """Of the record's own bytes."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """SHA-256 of each input, by path."""
        return self.record.inputs

    @property
    def outputs(self) -> Mapping[str, str]:
        """SHA-256 of each output, by path."""
        return self.record.outputs


@dataclass(frozen=True)
class Edge:
    """An input of a record."""

    path: str
    sha256: str
    """As the reader's record has it."""
    producer: Node | None
    """Whose record says that it wrote the path; None for what people write."""

    @property
    def holds(self) -> bool:
        """Whether the bytes that were read are those that the producer wrote."""
        return self.producer is None or self.producer.outputs.get(self.path) == self.sha256


@dataclass(frozen=True)
class Graph:
    """All records of a snapshot by stage, in the order of the pipeline."""

    snapshot: Snapshot
    nodes: Mapping[str, Node]

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The record that wrote each path."""
        return {path: node for node in self.nodes.values() for path in node.outputs}

    def edges(self, node: Node) -> list[Edge]:
        """Return the inputs of a record."""
        return [Edge(path, sha256, self.producers.get(path)) for path, sha256 in node.inputs.items()]

    def upstream(self, node: Node) -> list[Node]:
        """Return the record and all that it was made from, directly or not, in the order of the graph."""
        wanted, waiting = {node.stage.name}, [node]
        while waiting:
            for edge in self.edges(waiting.pop()):
                if edge.producer and edge.producer.stage.name not in wanted:
                    wanted.add(edge.producer.stage.name)
                    waiting.append(edge.producer)
        return [found for name, found in self.nodes.items() if name in wanted]

    def sources(self, node: Node) -> dict[str, str]:
        """Return the SHA-256 of everything upstream that people wrote, by path."""
        return {edge.path: edge.sha256 for one in self.upstream(node) for edge in self.edges(one) if edge.producer is None}

    def artifacts(self) -> Iterator[Found]:
        """Yield all outputs, then all records."""
        for node in self.nodes.values():
            yield from (Found(path, sha256, node, self) for path, sha256 in node.outputs.items())
        for node in self.nodes.values():
            yield Found(node.stage.record.path, node.sha256, node, self)


@dataclass(frozen=True)
class Found:
    """An artifact, the record of the stage that made it, and the graph of both."""

    path: str
    sha256: str
    """As the record has it."""
    node: Node
    graph: Graph

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that it is in."""
        return self.graph.snapshot

    def to_json(self) -> dict[str, str | None]:
        """Return what names it, for programs."""
        return {"path": self.path, "sha256": self.sha256, "snapshot": self.snapshot.name, "commit": self.snapshot.commit}


def find_artifact(snapshot: Snapshot, path: str) -> Found:
    """Return the artifact at a path of a snapshot; `DataError` lists some that are recorded there, if this one is not."""
    graph = read_graph(snapshot)
    found = next((one for one in graph.artifacts() if one.path == path), None)
    if found is None:
        known = sorted(graph.producers)
        recorded = f"recorded there: {', '.join(known[:_SHOWN])}" if known else "nothing is recorded there yet: ascl run"
        raise DataError(f"no record in {snapshot.name} says who made it", file=path, hint=nearest(path, known, recorded))
    return found


def lock_text(snapshot: Snapshot, node: Node, lock: str) -> str | None:
    """Return the text of a lock that the record names, from the commit of its code or from the snapshot; None if neither has it."""
    path, wanted = f"{REQUIREMENTS}/{lock}", node.record.packages.get(lock)
    revision = commit_of(snapshot.root, str(node.record.git.revision))
    for content in (show(snapshot.root, revision, Path(path), missing=b"") if revision else None, snapshot.read(path)):
        if content and sha256_bytes(content) == wanted:
            return content.decode()
    return None


def read_graph(snapshot: Snapshot) -> Graph:
    """Return the graph of the records that the snapshot has; `DataError` names a record that cannot be read."""
    nodes = {}
    for stage in STAGES:
        content = snapshot.read(stage.record.path)
        if content is not None:
            record = parse_record(content, stage.record.path, f" in {snapshot.name}")
            nodes[stage.name] = Node(stage, record, sha256_bytes(content))
    return Graph(snapshot, nodes)
