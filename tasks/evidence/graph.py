"""The records of a place as a graph: a record reads what another one wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ascl_core.artifacts import sha256_bytes
from ascl_core.errors import DataError
from tasks.evidence.snapshot import Place
from tasks.registry.stages import STAGES, Stage


@dataclass(frozen=True)
class Node:
    """One record."""

    stage: Stage
    record: Mapping[str, Any]
    sha256: str
    """Of the record's own bytes."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """SHA-256 of what it read, by path."""
        return dict(self.record["inputs"])

    @property
    def outputs(self) -> Mapping[str, str]:
        """SHA-256 of what it wrote, by path."""
        return dict(self.record["outputs"])


@dataclass(frozen=True)
class Edge:
    """A record that reads an artifact."""

    path: str
    sha256: str
    """As the reader's record has it."""
    producer: Node | None
    """Whose record says that it wrote the path; None for what people write."""

    @property
    def holds(self) -> bool:
        """Whether what was read is what was written."""
        return self.producer is None or self.producer.outputs.get(self.path) == self.sha256


@dataclass(frozen=True)
class Graph:
    """All records of a place, by the names of their stages, in an order in which they can have run."""

    place: Place
    nodes: Mapping[str, Node]

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """Who wrote what, by path."""
        return {path: node for node in self.nodes.values() for path in node.outputs}

    def edges(self, node: Node) -> list[Edge]:
        """What the record read."""
        return [Edge(path, sha256, self.producers.get(path)) for path, sha256 in node.inputs.items()]

    def behind(self, node: Node) -> list[Node]:
        """The record and all that it comes from, directly or not, in the order of the graph."""
        wanted, waiting = {node.stage.name}, [node]
        while waiting:
            for edge in self.edges(waiting.pop()):
                if edge.producer and edge.producer.stage.name not in wanted:
                    wanted.add(edge.producer.stage.name)
                    waiting.append(edge.producer)
        return [found for name, found in self.nodes.items() if name in wanted]

    def sources(self, node: Node) -> dict[str, str]:
        """SHA-256 of what people wrote and the record comes from, by path."""
        return {edge.path: edge.sha256 for one in self.behind(node) for edge in self.edges(one) if edge.producer is None}

    def artifacts(self) -> Iterator[tuple[str, str, Node]]:
        """Every output, with its SHA-256 and its record."""
        for node in self.nodes.values():
            for path, sha256 in node.outputs.items():
                yield path, sha256, node


@dataclass(frozen=True)
class Found:
    """An artifact, the record that says who made it, and the graph that both are in."""

    path: str
    sha256: str
    """As the record has it."""
    node: Node
    graph: Graph

    @property
    def place(self) -> Place:
        """Where."""
        return self.graph.place


def read_graph(place: Place) -> Graph:
    """The records of the place; a stage that has none there is not in the graph. `DataError` names a record that cannot be read."""
    nodes = {}
    for stage in STAGES:
        content = place.read(stage.record.path)
        if content is not None:
            nodes[stage.name] = Node(stage, _record(content, stage, place), sha256_bytes(content))
    return Graph(place, nodes)


def _record(content: bytes, stage: Stage, place: Place) -> dict[str, Any]:
    try:
        record = json.loads(content)
        complete = isinstance(record["inputs"], dict) and isinstance(record["outputs"], dict)
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise DataError(f"is no whole record in {place.name}", file=stage.record.path, hint="restore it: dvc checkout, or ascl pull")
    return dict(record)
