"""Estimates with 95 % intervals: Wilson for proportions, a seeded bootstrap over prompts for means and functions of means.

Several answers to one prompt are a cluster: a bootstrap resamples them together, and a proportion counts them as their effective
number. That number is not whole, so the Wilson formula is here: SciPy's takes whole counts only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """The number of observations."""
    successes: int | None = None
    """For a proportion; None for a mean or a derived figure."""
    prompts: int | None = None
    """For a proportion whose answers are clustered by prompt: the number of different prompts; None for any other figure."""

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `metrics.json`."""
        return asdict(self)


@dataclass(frozen=True)
class Clustered:
    """Observations, each with the name of its cluster (the answered prompt)."""

    values: Sequence[float]
    clusters: Sequence[str]

    def mean(self) -> float:
        """Return the mean of the observations."""
        return float(np.mean(self.values))

    def by_cluster(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum and the number of observations of each cluster, in the order of the clusters' names."""
        names, index = np.unique(np.asarray(self.clusters), return_inverse=True)
        return np.bincount(index, weights=np.asarray(self.values, dtype=float), minlength=len(names)), np.bincount(index)

    def resampled(self, random: np.random.Generator) -> np.ndarray:
        """Return the means of 2,000 resamples of the clusters."""
        return resampled_ratio(*self.by_cluster(), random)


def resampled_ratio(numerators: np.ndarray, denominators: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return Σ numerators / Σ denominators of 2,000 resamples of the pairs; one pair, which SciPy refuses, gives its own ratio."""
    from scipy.stats import bootstrap

    def ratio(numerator: np.ndarray, denominator: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(numerator.sum(axis) / denominator.sum(axis))

    if len(numerators) == 1:
        return np.full(RESAMPLES, ratio(numerators, denominators))
    pairs = (numerators, denominators)
    drawn = bootstrap(pairs, ratio, paired=True, vectorized=True, n_resamples=RESAMPLES, method="percentile", rng=random)
    return np.asarray(drawn.bootstrap_distribution)


def wilson(successes: int, n: int, effective_n: float | None = None) -> Estimate | None:
    """Return a proportion with its Wilson 95 % score interval (Wilson 1927); None without observations.

    The interval is that of `effective_n` observations with the same share of successes, by default of all `n`.

    >>> e = wilson(8, 10)
    >>> (round(e.low, 3), round(e.high, 3))
    (0.49, 0.943)
    """
    if n == 0:
        return None
    p, worth = successes / n, n if effective_n is None else effective_n
    centre = (p + Z_95**2 / (2 * worth)) / (1 + Z_95**2 / worth)
    half = Z_95 / (1 + Z_95**2 / worth) * math.sqrt(p * (1 - p) / worth + Z_95**2 / (4 * worth**2))
    return Estimate(p, min(max(0.0, centre - half), p), max(min(1.0, centre + half), p), n, successes)


def proportion(flags: Sequence[bool], clusters: Sequence[str] | None = None) -> Estimate | None:
    """Return the share of True with its Wilson interval; clusters count as their effective number of observations."""
    if clusters is None or not flags:
        return wilson(sum(flags), len(flags))
    estimate = wilson(sum(flags), len(flags), effective_n(Clustered(flags, clusters)))
    return estimate and replace(estimate, prompts=len(set(clusters)))


def effective_n(flags: Clustered) -> float:
    """Return the effective number of observations of a clustered proportion: n divided by the design effect.

    The design effect (Kish 1965) is Σ (sᵢ − p mᵢ)² / (n p (1 − p)) for clusters of mᵢ observations with sᵢ successes, at least 1.
    If it cannot be estimated, with one cluster or without variance, each cluster counts as one observation.

    >>> effective_n(Clustered([True] * 8 + [False] * 8, ["a"] * 8 + ["b"] * 8))
    2.0
    >>> effective_n(Clustered([True, False] * 4, ["a", "a", "b", "b", "c", "c", "d", "d"]))
    8.0
    """
    n, p = len(flags.values), flags.mean()
    sums, counts = flags.by_cluster()
    if len(sums) == n:
        return float(n)
    if len(sums) == 1 or p in (0.0, 1.0):
        return float(len(sums))
    effect = float(((sums - p * counts) ** 2).sum() / (n * p * (1 - p)))
    return n / max(effect, 1.0)


def bootstrap_mean(values: Sequence[float], clusters: Sequence[str], seed: int = 0) -> Estimate | None:
    """Return the mean with a percentile interval over 2,000 resamples of the clusters (prompts), not of single answers."""
    if not values:
        return None
    observed = Clustered(values, clusters)
    return _with_interval(observed.mean(), observed.resampled(np.random.default_rng(seed)), len(values))


def combine_suites(function: Callable[..., Any], *parts: Iterable[Clustered], seed: int = 0) -> Estimate | None:
    """Return `function` of the parts, each the unweighted mean of its suites' means.

    The percentile interval is over 2,000 resamples of the prompts within each suite; the suites are fixed. A suite whose observations
    are all equal adds no width. A suite without observations is left out, and a part without suites makes the result None. `n` is the
    smallest number of observations of a part.
    """
    observed = [[suite for suite in part if len(suite.values)] for part in parts]
    if not all(observed):
        return None
    random = np.random.default_rng(seed)
    draws = [np.mean([suite.resampled(random) for suite in part], axis=0) for part in observed]
    value = float(function(*(np.mean([suite.mean() for suite in part]) for part in observed)))
    return _with_interval(value, function(*draws), min(sum(len(suite.values) for suite in part) for part in observed))


def identity(value: Any) -> Any:
    """Return the one part as it is."""
    return value


def harmonic(*parts: Any) -> Any:
    """Return the harmonic mean, element by element; 0 if a part is 0.

    >>> float(harmonic(0.5, 1.0, 1.0))
    0.75
    """
    with np.errstate(divide="ignore"):
        return len(parts) / sum(1 / np.maximum(part, 0.0) for part in map(np.asarray, parts))


def _with_interval(value: float, draws: np.ndarray, n: int) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value), n)
