"""The records upstream of two artifacts, paired stage by stage, and through which stages a difference can have reached the end.

The end is what is compared: the answers of the evaluation if both artifacts are checkpoints that were evaluated, else the artifacts
themselves. A stage is live if an output of it that changed was read by another live stage, and so on to the end. What is read only by
stages that are not live cannot have moved the end: the hashes prove it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from tasks.evidence.graph import Found, Node
from tasks.registry.stages import EVALUATE, checkpoint_of

EVALUATION = "evaluate"
"""The name of the pair of evaluations at the end; every other pair has that of its stage."""
_ABOUT_INPUTS = ("checkpoint_sha256", "corpus_digest")
"""Entries of the metrics that repeat inputs and are not figures."""


@dataclass(frozen=True)
class End:
    """What is compared of one side."""

    node: Node
    outputs: tuple[str, ...]
    """By their names in the stage."""

    @property
    def is_evaluation(self) -> bool:
        """Whether it is the result of an evaluation."""
        return self.node.stage in EVALUATE.values()


@dataclass(frozen=True)
class Pair:
    """The records of one stage upstream of both artifacts; None if a side has none."""

    old: Node | None
    new: Node | None

    @property
    def nodes(self) -> list[Node]:
        """The records that exist."""
        return [node for node in (self.old, self.new) if node]

    @property
    def both(self) -> tuple[Node, Node] | None:
        """The two records; None if only one side has one."""
        return (self.old, self.new) if self.old and self.new else None

    @property
    def label(self) -> str:
        """The names of its stages."""
        return " and ".join(dict.fromkeys(node.stage.name for node in self.nodes))

    @property
    def outputs(self) -> set[str]:
        """The names of the outputs of its stages."""
        return {output for node in self.nodes for output in node.stage.outputs}


@dataclass(frozen=True)
class Pairs:
    """Both artifacts with everything upstream of them."""

    old: Found
    new: Found

    @cached_property
    def ends(self) -> tuple[End, End]:
        """What is compared."""
        old, new = _evaluation(self.old), _evaluation(self.new)
        return (old, new) if old and new else (_itself(self.old), _itself(self.new))

    @cached_property
    def by_name(self) -> Mapping[str, Pair]:
        """The pairs in the order of the pipeline, the end last."""
        old, new = (
            {self._name(node, end): node for node in found.graph.upstream(end.node)}
            for end, found in zip(self.ends, (self.old, self.new), strict=True)
        )
        return {name: Pair(old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])}

    def _name(self, node: Node, end: End) -> str:
        return EVALUATION if node == end.node and all(one.is_evaluation for one in self.ends) else node.stage.name

    @cached_property
    def last(self) -> set[str]:
        """The names of the pairs that are an end."""
        return {self._name(end.node, end) for end in self.ends}

    def live(self, name: str) -> bool:
        """Return whether a changed output of that stage reached the end."""
        return bool(self._live[name])

    def moved(self, name: str) -> set[str]:
        """Return the names of the outputs of that stage whose bytes differ; all if only one side has the stage."""
        pair = self.by_name[name]
        if pair.both is None:
            return pair.outputs
        old, new = ({key: node.outputs.get(artifact.path) for key, artifact in node.stage.outputs.items()} for node in pair.both)
        return {output for output in {*old, *new} if old.get(output) != new.get(output)}

    def readers(self, path: str) -> tuple[str, ...]:
        """Return the names of the pairs that read that path, on either side."""
        return tuple(name for name, pair in self.by_name.items() if any(path in node.inputs for node in pair.nodes))

    def distance(self, name: str) -> int:
        """Return how many stages, at least, lie between that one and the end; 0 for the end."""
        return self._distances[name]

    @cached_property
    def _live(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in reversed(self._in_order):
            found[name] = {
                output
                for output in self.moved(name)
                if self._is_end(name, output) or any(found.get(reader) for reader in self._readers_of(name, output))
            }
        return found

    @cached_property
    def _in_order(self) -> list[str]:
        """Readers after writers, on both sides."""
        sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(self.by_name, ()))
        for name, pair in self.by_name.items():
            for reader in {reader for output in pair.outputs for reader in self._readers_of(name, output)}:
                sorter.add(reader, name)
        return list(sorter.static_order())

    def _is_end(self, name: str, output: str) -> bool:
        if name not in self.last or not any(output in end.outputs for end in self.ends):
            return False
        return output != "metrics" or name != EVALUATION or self._figures(self.old, 0) != self._figures(self.new, 1)

    def _figures(self, found: Found, side: int) -> object:
        """Return the metrics without what repeats inputs; the digest of their file if it is not available here."""
        path = self.ends[side].node.stage.outputs["metrics"].path
        metrics = found.snapshot.json(path)
        if metrics is None:
            return self.ends[side].node.outputs[path]
        return {key: value for key, value in metrics.items() if key not in _ABOUT_INPUTS}

    def _readers_of(self, name: str, output: str) -> set[str]:
        pair = self.by_name[name]

        def reads(writer: Node | None, reader: Node | None) -> bool:
            return bool(writer and reader and output in writer.stage.outputs and writer.stage.outputs[output].path in reader.inputs)

        return {name for name, other in self.by_name.items() if reads(pair.old, other.old) or reads(pair.new, other.new)}

    @cached_property
    def _distances(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for name in reversed(self._in_order):
            after = [found[reader] for output in self.by_name[name].outputs for reader in self._readers_of(name, output)]
            found[name] = 0 if name in self.last else 1 + min(after, default=len(self.by_name))
        return found


def _evaluation(found: Found) -> End | None:
    """Return the evaluation of a checkpoint, or the evaluation itself."""
    stage = found.node.stage
    if stage in EVALUATE.values():
        return End(found.node, ("results", "metrics"))
    if stage.name not in EVALUATE or found.path not in (checkpoint_of(stage).path, stage.record.path):
        return None
    node, checkpoint = found.graph.nodes.get(EVALUATE[stage.name].name), checkpoint_of(stage).path
    return End(node, ("results", "metrics")) if node and node.inputs.get(checkpoint) == found.node.outputs[checkpoint] else None


def _itself(found: Found) -> End:
    named = tuple(name for name, artifact in found.node.stage.outputs.items() if artifact.path == found.path)
    return End(found.node, named or tuple(found.node.stage.outputs))
