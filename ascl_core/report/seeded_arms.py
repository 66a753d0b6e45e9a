"""The arms of a comparison: their responses and training logs by seed, and how their figures are computed over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, read_jsonl, read_parquet
from ascl_core.contracts import EvaluatedRollout, from_table
from ascl_core.evaluation import measures
from ascl_core.evaluation.intervals import identity
from ascl_core.evaluation.measures import Measure, is_plain, plain_rows
from ascl_core.evaluation.metrics import h_of
from ascl_core.evaluation.seeds import Combine, SeedEstimate, difference_over_seeds, over_seeds
from ascl_core.report.charts import series_of

Rows = Mapping[int, Sequence[EvaluatedRollout]]
"""Responses by seed."""
PARTS = ("first", "middle", "last")
"""The parts of training whose means are reported."""
_LENGTH = 10
"""How many steps a part covers."""


@dataclass(frozen=True)
class Computation:
    """How a figure is computed over seeds."""

    measures: tuple[Measure, ...]
    combine: Combine = identity
    over_suites: bool = False

    def estimate(self, rows: Rows) -> SeedEstimate | None:
        """Return the figure of one arm."""
        return over_seeds(rows, *self.measures, combine=self.combine, over_suites=self.over_suites)

    def difference(self, ours: Rows, theirs: Rows) -> SeedEstimate | None:
        """Return the paired difference of two arms."""
        return difference_over_seeds(ours, theirs, *self.measures, combine=self.combine, over_suites=self.over_suites)


COMPUTATIONS = {
    "safety_rate": Computation((measures.safe,)),
    "over_refusal_strict": Computation((measures.refused,)),
    "h_avg": Computation((measures.safe, measures.refused, measures.solved), h_of, over_suites=True),
    "h": Computation((measures.safe, measures.refused), h_of, over_suites=True),
    "safety_over_suites": Computation((measures.safe,), over_suites=True),
    "over_refusal_over_suites": Computation((measures.refused,), over_suites=True),
    "utility_over_suites": Computation((measures.solved,), over_suites=True),
    "utility": Computation((measures.solved,)),
    "consult_rate": Computation((measures.consulted,)),
    "valid_rate": Computation((measures.valid,)),
    "tokens_per_answer": Computation((measures.tokens,)),
}
"""The figures by key, in the order of the comparison's table; the first two are the axes of its chart."""


@dataclass(frozen=True)
class SeedRange:
    """A figure of the training logs over seeds, with the range of the seeds: an interval would need the single rollouts."""

    value: float
    """Mean over the seeds."""
    low: float
    """The lowest seed."""
    high: float
    """The highest seed."""
    n: int
    """The number of seeds."""
    by_seed: tuple[float, ...]


@dataclass
class SeededArm:
    """One arm with its responses and training steps, by seed."""

    name: str
    label: str
    rows: dict[int, Sequence[EvaluatedRollout]] = field(default_factory=dict)
    """Responses to plain prompts."""
    attacked: dict[int, Sequence[EvaluatedRollout]] = field(default_factory=dict)
    """Responses under attack and noise."""
    held_out: set[str] = field(default_factory=set)
    """The kinds of attack and noise that training does not use."""
    steps: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def estimate(self, *measures: Measure) -> dict[str, Any] | None:
        """Return the mean of a measure over the arm's seeds."""
        return to_json(Computation(measures).estimate(self.rows))

    def while_training(self, key: str, part: str | int) -> SeedRange | None:
        """Return the mean of a logged figure over ten steps: the `first`, `middle` or `last` ones, or those up to a step.

        Parts do not overlap, so those of a run of fewer than 30 steps are shorter. None if no log has the figure, or if one is
        too short for the step.
        """
        by_seed = [_mean_of_part(steps, key, part) for _, steps in sorted(self.steps.items())]
        values = tuple(value for value in by_seed if value is not None)
        if not values or (isinstance(part, int) and len(values) < len(by_seed)):
            return None
        return SeedRange(sum(values) / len(values), min(values), max(values), len(values), values)


def read_arms(folder: Path, kind: str, entries: Sequence[Mapping[str, Any]]) -> list[SeededArm]:
    """Return the arms in the order of the manifest, each with all its seeds."""
    arms: dict[str, SeededArm] = {}
    for entry in entries:
        arm, seed = arms.setdefault(entry["arm"], SeededArm(entry["arm"], entry["label"])), entry["seed"]
        run = folder / kind / f"seed-{seed}" / arm.name
        rows = from_table(read_parquet(run / "results.parquet"), EvaluatedRollout)
        arm.rows[seed], arm.attacked[seed] = tuple(plain_rows(rows)), tuple(row for row in rows if not is_plain(row))
        if arm.attacked[seed]:
            arm.held_out |= _held_out_kinds(read_json(run / "metrics.json"))
        log = next(run.glob("*.jsonl"), None)
        if log is not None:
            arm.steps[seed] = tuple(line for line in read_jsonl(log) if "step" in line)
    return list(arms.values())


def to_json(estimate: SeedEstimate | None) -> dict[str, Any] | None:
    """Return the entry of `comparison.json`; None without data."""
    return None if estimate is None else estimate.to_json()


def _held_out_kinds(metrics: Mapping[str, Any]) -> set[str]:
    by_kind = (kinds for figures in metrics["attacks"].values() for kinds in figures["by_kind"].items())
    return {kind for kind, figures in by_kind if figures["held_out"]}


def _mean_of_part(steps: Sequence[Mapping[str, Any]], key: str, part: str | int) -> float | None:
    values = series_of(steps, key)
    if isinstance(part, int):
        found = [value for step, value in values if part - _LENGTH < step <= part] if values and values[-1][0] >= part else []
    else:
        length = min(_LENGTH, -(-len(values) // 3))
        start = (len(values) - length) * PARTS.index(part) // 2
        found = [value for _, value in values[start : start + length]]
    return sum(found) / len(found) if found else None
