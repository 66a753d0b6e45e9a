"""Two artifacts and everything behind them, stage by stage, and through which stages a difference can have reached the end.

The end is what is compared: the answers of the evaluation where both artifacts are checkpoints that were evaluated, else the artifacts
themselves. A stage is live where an output of it that changed was read by another live stage, and so on to the end. What only stages
read that are not live cannot have moved the end: the hashes prove it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tasks.evidence.graph import Found, Node
from tasks.registry.stages import EVALUATE, checkpoint_of

EVALUATION = "evaluate"
"""The name of the pair of evaluations at the end; every other pair has that of its stage."""
_ABOUT_INPUTS = ("checkpoint_sha256", "corpus_digest")
"""What the metrics repeat of the inputs: no figure."""


@dataclass(frozen=True)
class End:
    """What is compared of one side."""

    node: Node
    outputs: tuple[str, ...]
    """By their names in the stage."""

    @property
    def is_evaluation(self) -> bool:
        """Whether it is what an evaluation gave."""
        return self.node.stage in EVALUATE.values()


@dataclass(frozen=True)
class Pair:
    """The records of one stage behind both artifacts; None where there is none behind that one."""

    name: str
    old: Node | None
    new: Node | None

    @property
    def both(self) -> tuple[Node, Node] | None:
        """The two records; None where only one side has one."""
        return (self.old, self.new) if self.old and self.new else None

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Of the stages, by themselves."""
        return tuple(dict.fromkeys(node.stage.name for node in (self.old, self.new) if node))


@dataclass(frozen=True)
class Pairs:
    """Both artifacts with everything behind them."""

    old: Found
    new: Found

    @cached_property
    def ends(self) -> tuple[End, End]:
        """What is compared: of two evaluated checkpoints their evaluations."""
        evaluated = (_evaluation(self.old), _evaluation(self.new))
        return (evaluated[0], evaluated[1]) if evaluated[0] and evaluated[1] else (_itself(self.old), _itself(self.new))

    @cached_property
    def by_name(self) -> Mapping[str, Pair]:
        """The pairs in the order of the pipeline, the end last."""
        sides = [self._behind(end, found) for end, found in zip(self.ends, (self.old, self.new), strict=True)]
        names = dict.fromkeys([*sides[0], *sides[1]])
        return {name: Pair(name, sides[0].get(name), sides[1].get(name)) for name in names}

    def _behind(self, end: End, found: Found) -> dict[str, Node]:
        return {self._name(node, end): node for node in found.graph.behind(end.node)}

    def _name(self, node: Node, end: End) -> str:
        return EVALUATION if node == end.node and all(one.is_evaluation for one in self.ends) else node.stage.name

    @cached_property
    def last(self) -> set[str]:
        """The names of the pairs that are an end."""
        return {self._name(end.node, end) for end in self.ends}

    def live(self, name: str) -> bool:
        """Whether what that stage gave otherwise reached the end."""
        return bool(self._live[name])

    def moved(self, name: str) -> set[str]:
        """The outputs of that stage, by name, that are other bytes; all where only one side has the stage."""
        pair = self.by_name[name]
        if pair.both is None:
            return {output for node in (pair.old, pair.new) if node for output in node.stage.outputs}
        old, new = (_by_output(node) for node in pair.both)
        return {output for output in {*old, *new} if old.get(output) != new.get(output)}

    def readers(self, path: str) -> tuple[str, ...]:
        """The pairs that read that path, on either side."""
        return tuple(name for name, pair in self.by_name.items() if any(node and path in node.inputs for node in (pair.old, pair.new)))

    def distance(self, name: str) -> int:
        """How many stages, at least, lie between that one and the end; 0 for the end."""
        return self._distances[name]

    @cached_property
    def _live(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in reversed(self._in_order):
            moved = self.moved(name)
            last = {output for output in moved if self._is_end(name, output)}
            found[name] = last | {output for output in moved if any(found.get(reader) for reader in self._readers_of(name, output))}
        return found

    @cached_property
    def _in_order(self) -> list[str]:
        """Readers after writers, on both sides."""
        from graphlib import TopologicalSorter

        sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(self.by_name, ()))
        for name in self.by_name:
            for output in self._outputs(name):
                for reader in self._readers_of(name, output):
                    sorter.add(reader, name)
        return list(sorter.static_order())

    def _is_end(self, name: str, output: str) -> bool:
        if name not in self.last or not any(output in end.outputs for end in self.ends):
            return False
        return output != "metrics" or name != EVALUATION or self._figures(self.old, 0) != self._figures(self.new, 1)

    def _figures(self, found: Found, side: int) -> object:
        """What the metrics say but of their inputs; the digest of their file where it is not at hand."""
        path = self.ends[side].node.stage.outputs["metrics"].path
        content = found.place.read(path)
        if content is None:
            return self.ends[side].node.outputs[path]
        return {key: value for key, value in json.loads(content).items() if key not in _ABOUT_INPUTS}

    def _outputs(self, name: str) -> set[str]:
        pair = self.by_name[name]
        return {output for node in (pair.old, pair.new) if node for output in node.stage.outputs}

    def _readers_of(self, name: str, output: str) -> set[str]:
        pair, found = self.by_name[name], set()
        for reader, other in self.by_name.items():
            for writer, reading in ((pair.old, other.old), (pair.new, other.new)):
                if writer and reading and output in writer.stage.outputs and writer.stage.outputs[output].path in reading.inputs:
                    found.add(reader)
        return found

    @cached_property
    def _distances(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for name in reversed(self._in_order):
            after = [found[reader] for output in self._outputs(name) for reader in self._readers_of(name, output)]
            found[name] = 0 if name in self.last else 1 + min(after, default=len(self.by_name))
        return found


def _by_output(node: Node) -> dict[str, str]:
    return {name: node.outputs[artifact.path] for name, artifact in node.stage.outputs.items() if artifact.path in node.outputs}


def _evaluation(found: Found) -> End | None:
    """The evaluation of the checkpoint, or of itself."""
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
