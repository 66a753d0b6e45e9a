"""Figures over several seeds: the mean of the seeds, with an interval that covers the choice of seeds and of prompts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ascl_core.contracts import EvaluatedRollout, kind_of
from ascl_core.evaluation.metrics import is_right, is_safe, refusal_is_known
from ascl_core.vocabulary import Mode, PromptType, Refusal

_RESAMPLES = 2000
Rows = Sequence[EvaluatedRollout]
Measure = Callable[[EvaluatedRollout], float | None]
"""The value of one response; None where it does not count."""
Combine = Callable[..., Any]
"""One figure of the means of several measures."""


@dataclass(frozen=True)
class SeedEstimate:
    """A figure over seeds."""

    value: float
    """Mean over the seeds."""
    low: float
    high: float
    """95 % percentile interval of 2,000 resamples of the seeds and, in each, of its prompts."""
    n: int
    """Responses behind it, over all seeds."""
    by_seed: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """As it stands in `comparison.json`."""
        return asdict(self)


def itself(value: Any) -> Any:
    """The one measure as it is."""
    return value


def over_seeds(
    rows_by_seed: Mapping[int, Rows], *measures: Measure, combine: Combine = itself, over_suites: bool = False
) -> SeedEstimate | None:
    """The mean over the seeds of what `combine` makes of the measures' means over prompts; None where one has no data.

    With `over_suites`, a measure's mean is that of the suites' means. With one seed only the prompts are resampled, within their
    suites with `over_suites`. Seeds are few, so the interval is a rough one.
    """
    by_seed = [[_groups(_by_prompt(rows, measure), over_suites) for measure in measures] for _, rows in sorted(rows_by_seed.items())]
    return _estimate([values for values in by_seed if all(values)], combine)


def difference_over_seeds(
    ours: Mapping[int, Rows], theirs: Mapping[int, Rows], *measures: Measure, combine: Combine = itself, over_suites: bool = False
) -> SeedEstimate | None:
    """The mean over the seeds that both have of ours less theirs, on the prompts that count in both; None where there are none.

    Pairs what shares luck, a seed and a prompt, so its interval says of a difference what those of the two means do not. `combine` and
    `over_suites` are those of `over_seeds`.
    """

    def difference(*means: Any) -> Any:
        both = combine(*means)
        return both[..., 0] - both[..., 1]

    shared = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    by_seed = [[_groups(_paired(*rows, measure), over_suites) for measure in measures] for rows in shared]
    return _estimate([values for values in by_seed if all(values)], difference)


def _estimate(by_seed: Sequence[Sequence[Sequence[np.ndarray]]], combine: Combine) -> SeedEstimate | None:
    """Of each seed the values of each measure, in groups that weigh the same."""
    if not by_seed:
        return None
    random = np.random.default_rng(0)
    resampled = [combine(*(np.mean([_resampled(v, random) for v in groups], axis=0) for groups in values)) for values in by_seed]
    chosen = random.integers(0, len(by_seed), (_RESAMPLES, len(by_seed)))
    draws = np.stack(resampled)[chosen, np.arange(_RESAMPLES)[:, None]].mean(1)
    means = tuple(float(combine(*(np.mean([v.mean(0) for v in groups], axis=0) for groups in values))) for values in by_seed)
    low, high = np.quantile(draws, [0.025, 0.975])
    value = float(np.mean(means))
    num_responses = sum(len(v) for values in by_seed for groups in values for v in groups)
    return SeedEstimate(value, min(float(low), value), max(float(high), value), num_responses, means)


def _resampled(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.asarray(values[random.integers(0, len(values), (_RESAMPLES, len(values)))].mean(1))


def _groups(values: Mapping[str, Any], over_suites: bool) -> list[np.ndarray]:
    """The values by prompt of each suite, or of all suites together."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for key, value in values.items():
        groups[key.partition("\n")[0] if over_suites else ""].append(value)
    return [np.array(values) for values in groups.values()]


def _paired(ours: Rows, theirs: Rows, measure: Measure) -> dict[str, tuple[float, float]]:
    a, b = _by_prompt(ours, measure), _by_prompt(theirs, measure)
    return {prompt: (a[prompt], b[prompt]) for prompt in a if prompt in b}


def _by_prompt(rows: Rows, measure: Measure) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if (value := measure(row)) is not None:
            values[f"{row.suite}\n{row.prompt_id}"].append(value)
    return {prompt: sum(of_prompt) / len(of_prompt) for prompt, of_prompt in values.items()}


def safe(row: EvaluatedRollout) -> float | None:
    """Whether a harmful prompt was answered safely."""
    judged = is_safe(row) if row.prompt_type is PromptType.HARMFUL else None
    return None if judged is None else float(judged)


def refused(row: EvaluatedRollout) -> float | None:
    """Whether a borderline prompt was refused, in full or in part."""
    counts = row.prompt_type is PromptType.BORDERLINE and refusal_is_known(row)
    return float(row.refusal is not Refusal.NONE) if counts else None


def solved(row: EvaluatedRollout) -> float | None:
    """Whether a utility prompt was solved."""
    return None if row.correct is None else float(row.correct)


def tokens(row: EvaluatedRollout) -> float | None:
    """How many tokens the model wrote."""
    return float(row.num_tokens)


def of_kind(kind: str, measure: Measure) -> Measure:
    """The measure on prompts of one kind: plain ones of a type, or `dual_use`."""
    return lambda row: measure(row) if kind_of(row) == kind else None


def consulted(row: EvaluatedRollout) -> float | None:
    """Whether the rules were looked up."""
    return float(row.mode is Mode.CONSULT)


def valid(row: EvaluatedRollout) -> float | None:
    """Whether the response is well-formed."""
    return float(row.valid)


def right(row: EvaluatedRollout) -> float | None:
    """Whether the response is what its prompt asks for."""
    return float(is_right(row))
