"""The agreement of two sets of labels: accuracy, Cohen's kappa and the confusion table, each figure with its 95 % interval.

Several answers to one prompt are a cluster, as in every other figure: `ascl_core.evaluation.intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ascl_core.evaluation.intervals import RESAMPLES, Estimate, proportion
from ascl_core.vocabulary import Harm, Refusal

LABELS = (Refusal.NONE, Refusal.PARTIAL, Refusal.FULL, Refusal.UNKNOWN)
HARMS = (Harm.UNHARMFUL, Harm.HARMFUL, Harm.UNKNOWN)


@dataclass(frozen=True)
class Agreement:
    """A judge's labels against people's, or against another judge's."""

    n: int
    accuracy: float
    """The share of right verdicts of all responses; an unknown verdict counts as wrong."""
    accuracy_interval: tuple[float, float]
    """The bounds of its Wilson 95 % interval, of the effective number of responses."""
    kappa: float
    """Cohen's kappa (Cohen 1960); NaN where both sides use one label only."""
    low: float
    high: float
    """The bounds of kappa's 95 % percentile interval over 2,000 resamples of the prompts with all their responses."""
    labels: tuple[str, ...]
    confusion: np.ndarray
    """(L, L) counts, rows people, columns judge, in the order of the labels."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures for a file; a missing one is null."""
        return {
            "n": self.n,
            "accuracy": {"value": self.accuracy, "low": self.accuracy_interval[0], "high": self.accuracy_interval[1]},
            "kappa": {name: _finite(value) for name, value in (("value", self.kappa), ("low", self.low), ("high", self.high))},
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
        }


def measure_answers(answers: Sequence[tuple[str, Any, Any]], labels: Sequence[Any]) -> Agreement | None:
    """Return the agreement on answers, each the prompt's name, people's label and the judge's; None if there are none."""
    if not answers:
        return None
    prompts, people, judge = zip(*answers, strict=True)
    return measure(people, judge, labels, prompts)


def measure(
    people: Sequence[Any], judge: Sequence[Any], labels: Sequence[Any] = LABELS, prompts: Sequence[str] | None = None, seed: int = 0
) -> Agreement:
    """Return the agreement of two parallel lists of labels; `ValueError` if they are empty or of different lengths.

    `prompts` names the prompt of each response; without it, each is of a prompt of its own.
    """
    if not people or len(people) != len(judge):
        raise ValueError(f"{len(people)} labels of people and {len(judge)} of the judge")
    rows, columns = (np.array([labels.index(label) for label in side]) for side in (people, judge))
    tables = _tables(rows, columns, len(labels), range(len(people)) if prompts is None else prompts)
    table = tables.sum(0)
    draws = np.random.default_rng(seed).integers(0, len(tables), (RESAMPLES, len(tables)))  # as `scipy.stats.bootstrap` draws them
    floats = tables.astype(float)  # which NumPy multiplies faster
    drawn = (np.tensordot(np.bincount(draw, minlength=len(tables)).astype(float), floats, axes=1) for draw in draws)
    kappas = [cohen_kappa(resample) for resample in drawn]  # a resample may have none, which SciPy's interval does not take
    low, high = np.nanquantile(kappas, [0.025, 0.975]) if np.isfinite(kappas).any() else (np.nan, np.nan)
    right = proportion((rows == columns).tolist(), prompts)
    assert isinstance(right, Estimate)
    names = tuple(map(str, labels))
    return Agreement(len(people), right.value, (right.low, right.high), cohen_kappa(table), float(low), float(high), names, table)


def cohen_kappa(table: np.ndarray) -> float:
    """Return (p_o - p_e) / (1 - p_e) of an (L, L) table of counts; NaN where chance alone always agrees.

    >>> round(cohen_kappa(np.array([[20, 5], [10, 15]])), 3)
    0.4
    """
    total = table.sum()
    observed = np.trace(table) / total
    expected = float(table.sum(1) @ table.sum(0)) / total**2
    return float((observed - expected) / (1 - expected)) if expected < 1 else float("nan")


def merged(label: Refusal) -> Refusal:
    """Return the label for judges that know no partial refusal: partial counts as full, as XSTest's strict rate does."""
    return Refusal.FULL if label is Refusal.PARTIAL else label


def _tables(rows: np.ndarray, columns: np.ndarray, size: int, prompts: Sequence[Any]) -> np.ndarray:
    """Return the confusion table of each prompt, (P, L, L), in the order in which the prompts first appear."""
    numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    cells = (np.array([numbers[prompt] for prompt in prompts]) * size + rows) * size + columns
    return np.bincount(cells, minlength=len(numbers) * size * size).reshape(-1, size, size)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
