"""What differs upstream of two artifacts, ordered by what most likely moved the metric, and what provably did not.

Every output has its SHA-256 in a record, so a difference reached the end only if a changed output was read by a stage whose output changed
in turn, and so on to the answers of the evaluation. A difference that none of these stages met is listed as without effect, with the stage
that wrote the same bytes in spite of it.

Hashes cannot separate the remaining differences: any of several that met the same stage may have done it. Their order is a guess:

1. the kind, by how strongly it usually decides what a model says: see `Kind`;
2. within a kind the nearest to the evaluation, in stages: fewer stages could have levelled it out;
3. then its size: verdicts that flip, rows that changed; then the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.evaluation.figures import FIGURES
from tasks.evidence.graph import Found
from tasks.lineage.causes import Cause, Kind, causes
from tasks.lineage.find import find
from tasks.lineage.pairs import EVALUATION, Pairs
from tasks.lineage.row_counts import RowCounts, count_rows
from tasks.registry.parameters import changed, flat
from tasks.registry.stages import CHECKPOINT, GATE

SCHEMA = "ascl.lineage-diff/2"


@dataclass(frozen=True)
class Metric:
    """A figure of both evaluations."""

    key: str
    name: str
    before: dict[str, Any] | None
    """Value with its 95 % interval; None without data."""
    after: dict[str, Any] | None

    @property
    def difference(self) -> float | None:
        """After minus before; None if a side has no data."""
        return self.after["value"] - self.before["value"] if self.before and self.after else None

    @property
    def outside(self) -> bool | None:
        """Whether each value lies outside the other's interval; None if a side has no data."""
        if not self.before or not self.after:
            return None
        pairs = ((self.before, self.after), (self.after, self.before))
        return all(not one["low"] <= other["value"] <= one["high"] for one, other in pairs)


@dataclass(frozen=True)
class Ranked:
    """A difference that can have moved the end."""

    cause: Cause
    distance: int
    """Stages between the nearest one that met it and the end."""
    through: tuple[str, ...]
    """The stages that met it and whose changed outputs reached the end, the nearest first."""


@dataclass(frozen=True)
class Without:
    """A difference that cannot have moved the end, and how that is known."""

    cause: Cause
    why: str


@dataclass(frozen=True)
class Diff:
    """What differs upstream of two artifacts."""

    old: Found
    new: Found
    metrics: tuple[Metric, ...]
    """In the order of the report; empty unless both artifacts were evaluated."""
    answers: RowCounts | None
    """Responses of the evaluations that differ; None if they are not available here, or nothing was evaluated."""
    ranked: tuple[Ranked, ...]
    """The most likely first."""
    without: tuple[Without, ...]
    missing: tuple[str, ...]
    """What could not be compared."""

    def to_json(self) -> dict[str, Any]:
        """Return the diff for programs."""
        return {
            "schema": SCHEMA,
            "a": self.old.to_json(),
            "b": self.new.to_json(),
            "metrics": {
                one.key: {"a": one.before, "b": one.after, "difference": one.difference, "outside_both": one.outside}
                for one in self.metrics
            },
            "answers": None if self.answers is None else {**vars(self.answers), "examples": dict(self.answers.examples)},
            "changes": [{**_dump_cause(one.cause), "distance": one.distance, "through": list(one.through)} for one in self.ranked],
            "without_effect": [{**_dump_cause(one.cause), "why": one.why} for one in self.without],
            "not_compared": list(self.missing),
        }


def diff(root: Path, old: str, new: str) -> Diff:
    """Compare the artifacts that two names mean; `DataError` or `WorkspaceError` if a name means nothing, or several things."""
    pairs = Pairs(find(root, old), find(root, new))
    missing: list[str] = []
    ranked: list[Ranked] = []
    without: list[Without] = []
    for cause in causes(pairs, missing):
        through = sorted((name for name in cause.met_by if pairs.live(name)), key=pairs.distance)
        if through:
            ranked.append(Ranked(cause, pairs.distance(through[0]), tuple(pairs.by_name[name].label for name in through)))
        else:
            without.append(Without(cause, _why_without(pairs, cause)))
    without += [Without(cause, "the gate comes after the evaluation") for cause in _gate(pairs)]
    ranked.sort(key=lambda one: (one.cause.kind.rank, one.distance, -one.cause.weight, one.cause.what))
    without.sort(key=lambda one: (one.cause.kind.rank, one.cause.what))
    answers = _answers(pairs, missing)
    return Diff(pairs.old, pairs.new, tuple(_metrics(pairs, missing)), answers, tuple(ranked), tuple(without), tuple(missing))


def _why_without(pairs: Pairs, cause: Cause) -> str:
    if not cause.met_by:
        return "the files that the stages run are the same"
    changed = [name for name in cause.met_by if pairs.moved(name)]
    if EVALUATION in changed:
        return "the evaluation gave the same answers and figures"
    if changed:
        return f"the changed outputs of {', '.join(changed)} reached nothing that is compared"
    name = max(cause.met_by, key=pairs.distance)
    pair = pairs.by_name[name]
    assert pair.new is not None
    path, sha256 = next(iter(pair.new.outputs.items()))
    return f"{', '.join(cause.met_by)} gave the same bytes: {path} is {sha256[:12]}"


def _gate(pairs: Pairs) -> Iterator[Cause]:
    """Yield changed parameters of the gate if candidates are compared, as the gate is not upstream of them."""
    nodes = [one.graph.nodes.get(GATE.name) for one in (pairs.old, pairs.new)]
    if EVALUATION not in pairs.by_name or GATE.name in pairs.by_name or None in nodes:
        return
    if {one.path for one in (pairs.old, pairs.new)} != {CHECKPOINT}:
        return
    before, after = (flat(node.record.parameters) for node in nodes if node)
    for key, was, now in changed(before, after):
        yield Cause(Kind.PARAMETER, key, was, now, (GATE.name,))


def _metrics(pairs: Pairs, missing: list[str]) -> Iterator[Metric]:
    if EVALUATION not in pairs.by_name:
        return
    headlines = []
    for one, end in zip((pairs.old, pairs.new), pairs.ends, strict=True):
        path = end.node.stage.outputs["metrics"].path
        content = one.snapshot.json(path)
        if content is None:
            missing.append(f"{path} in {one.snapshot.name}: its bytes are not available here, so no figure can be compared")
            return
        headlines.append(content["headline"])
    for key, name, _, _ in FIGURES:
        if any(headline.get(key) for headline in headlines):
            yield Metric(key, name, headlines[0].get(key), headlines[1].get(key))


def _answers(pairs: Pairs, missing: list[str]) -> RowCounts | None:
    if EVALUATION not in pairs.by_name:
        return None
    paths = [end.node.stage.outputs["results"].path for end in pairs.ends]
    files = [one.snapshot.files(path).get("") for one, path in zip((pairs.old, pairs.new), paths, strict=True)]
    if files[0] is None or files[1] is None:
        missing.append(f"{paths[0]}: its bytes are not available here, so no answer can be compared")
        return None
    return count_rows(files[0], files[1], paths[0])


def _dump_cause(cause: Cause) -> dict[str, Any]:
    return {**vars(cause), "kind": str(cause.kind), "met_by": list(cause.met_by), "details": list(cause.details)}
