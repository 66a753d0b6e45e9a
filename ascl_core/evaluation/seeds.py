"""Figures over several seeds: their mean, with an interval that covers the choice of seeds and of prompts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ascl_core.contracts import EvaluatedRollout
from ascl_core.data.attacks import plain_id
from ascl_core.evaluation.intervals import RESAMPLES, identity
from ascl_core.evaluation.measures import Measure

Rows = Sequence[EvaluatedRollout]
Combine = Callable[..., Any]
"""Makes one figure of the means of several measures."""
Groups = Mapping[str, Mapping[str, tuple[float, ...]]]
"""The values of each prompt, one for each side, by suite; one group with an empty name if suites do not count."""


@dataclass(frozen=True)
class SeedEstimate:
    """A figure over seeds."""

    value: float
    """Mean over the seeds."""
    low: float
    high: float
    """95 % percentile interval of 2,000 resamples of the seeds and, in each, of its prompts."""
    n: int
    """The number of prompts with a value, summed over the seeds."""
    by_seed: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `comparison.json`."""
        return asdict(self)


def over_seeds(
    rows_by_seed: Mapping[int, Rows], *measures: Measure, combine: Combine = identity, over_suites: bool = False
) -> SeedEstimate | None:
    """Return the mean over the seeds of what `combine` makes of the measures' means over prompts; None if one has no data.

    With `over_suites`, a measure's mean is the mean of the suites' means, and prompts are resampled within their suites. With one seed
    only the prompts are resampled. Seeds are few, so the interval is rough.
    """
    by_seed = [[_by_group([rows], measure, over_suites) for measure in measures] for _, rows in sorted(rows_by_seed.items())]
    return _estimate(by_seed, lambda *means: combine(*means)[..., 0])


def difference_over_seeds(
    ours: Mapping[int, Rows], theirs: Mapping[int, Rows], *measures: Measure, combine: Combine = identity, over_suites: bool = False
) -> SeedEstimate | None:
    """Return the mean over the common seeds of ours minus theirs, on the prompts that count in both; None if there are none.

    The difference is paired by seed and prompt, so its interval is narrower than those of the two means suggest. `combine` and
    `over_suites` are those of `over_seeds`.
    """

    def difference(*means: Any) -> Any:
        both = combine(*means)
        return both[..., 0] - both[..., 1]

    shared = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    return _estimate([[_by_group(sides, measure, over_suites) for measure in measures] for sides in shared], difference)


def _estimate(by_seed: Sequence[Sequence[Groups]], combine: Combine) -> SeedEstimate | None:
    """Return the estimate from the values of each measure at each seed; a seed without data for a measure is left out.

    Every seed answers the same prompts, so each resample draws its prompts once for all seeds (crossed factors: Owen 2007,
    doi 10.1214/07-AOAS122). If each seed drew its own, a second seed that repeats the first would halve the variance.
    """
    by_seed = [groups for groups in by_seed if all(groups)]
    if not by_seed:
        return None
    random = np.random.default_rng(0)
    by_measure = [_resampled(groups, random) for groups in zip(*by_seed, strict=True)]
    resampled = np.stack([combine(*means) for means in zip(*by_measure, strict=True)])  # (seeds, resamples)
    chosen = random.integers(0, len(by_seed), (RESAMPLES, len(by_seed)))
    low, high = np.quantile(resampled[chosen, np.arange(RESAMPLES)[:, None]].mean(1), [0.025, 0.975])
    means = tuple(float(combine(*(np.mean([_mean(v) for v in groups.values()], axis=0) for groups in values))) for values in by_seed)
    value = float(np.mean(means))
    num_values = sum(len(v) for values in by_seed for groups in values for v in groups.values())
    return SeedEstimate(value, min(float(low), value), max(float(high), value), num_values, means)


def _resampled(by_seed: Sequence[Groups], random: np.random.Generator) -> list[np.ndarray]:
    """Return for each seed the mean over the groups of the means of the drawn prompts, (resamples, sides)."""
    means: list[list[np.ndarray]] = [[] for _ in by_seed]
    for group in dict.fromkeys(name for groups in by_seed for name in groups):
        clusters = dict.fromkeys(_cluster(prompt) for groups in by_seed for prompt in groups.get(group, ()))
        numbers = {cluster: number for number, cluster in enumerate(clusters)}
        drawn = random.integers(0, len(numbers), (RESAMPLES, len(numbers)))
        for of_seed, groups in zip(means, by_seed, strict=True):
            if group in groups:
                of_seed.append(_means_of_drawn(groups[group], numbers, drawn))
    return [np.mean(of_seed, axis=0) for of_seed in means]


def _means_of_drawn(values: Mapping[str, tuple[float, ...]], numbers: Mapping[str, int], drawn: np.ndarray) -> np.ndarray:
    """Return the mean of each draw of clusters on each side; a draw without a value has the mean of all values."""
    index = [numbers[_cluster(prompt)] for prompt in values]
    sides = np.array([*values.values()])
    sums, counts = np.zeros((len(numbers), sides.shape[1])), np.bincount(index, minlength=len(numbers))
    np.add.at(sums, index, sides)
    found = counts[drawn].sum(1)[:, None]
    return np.where(found, sums[drawn].sum(1) / np.maximum(found, 1), sides.mean(0))


def _cluster(prompt: str) -> str:
    """Return the prompt whose answers are drawn together: a plain one with every attack on it."""
    suite, _, prompt_id = prompt.partition("\n")
    return f"{suite}\n{plain_id(prompt_id)}"


def _mean(values: Mapping[str, tuple[float, ...]]) -> list[float]:
    """Return the mean over the prompts of each side."""
    return [float(np.mean(side)) for side in zip(*values.values(), strict=True)]


def _by_group(sides: Sequence[Rows], measure: Measure, over_suites: bool) -> Groups:
    """Return the values on each side of the prompts that count on all sides, by suite or all together."""
    by_prompt = [_by_prompt(rows, measure) for rows in sides]
    groups: dict[str, dict[str, tuple[float, ...]]] = defaultdict(dict)
    for prompt in by_prompt[0]:
        if all(prompt in values for values in by_prompt):
            groups[prompt.partition("\n")[0] if over_suites else ""][prompt] = tuple(values[prompt] for values in by_prompt)
    return groups


def _by_prompt(rows: Rows, measure: Measure) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if (value := measure(row)) is not None:
            values[f"{row.suite}\n{row.prompt_id}"].append(value)
    return {prompt: sum(of_prompt) / len(of_prompt) for prompt, of_prompt in values.items()}
