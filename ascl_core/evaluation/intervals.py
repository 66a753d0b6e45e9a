"""Estimates with intervals: Wilson for proportions, a seeded bootstrap over prompts for means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""
_RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Observations behind it."""
    successes: int | None = None
    """For a proportion; None for a mean or a derived figure."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in `metrics.json`."""
        return asdict(self)


def wilson(successes: int, n: int) -> Estimate | None:
    """A proportion with its Wilson 95 % score interval (Wilson 1927); None where there is no observation.

    >>> e = wilson(8, 10)
    >>> (round(e.low, 3), round(e.high, 3))
    (0.49, 0.943)
    """
    if n == 0:
        return None
    p = successes / n
    centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n**2))
    return Estimate(p, min(max(0.0, centre - half), p), max(min(1.0, centre + half), p), n, successes)


def proportion(flags: Sequence[bool]) -> Estimate | None:
    """The share of True with its Wilson interval."""
    return wilson(sum(flags), len(flags))


def bootstrap_mean(values: Sequence[float], clusters: Sequence[str], seed: int = 0) -> Estimate | None:
    """The mean with a percentile interval over 2,000 resamples of the clusters (prompts), not of single answers."""
    if not values:
        return None
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, dtype=float))
    counts = np.bincount(index)
    draws = np.random.default_rng(seed).integers(0, len(names), (_RESAMPLES, len(names)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(np.mean(values)), float(low), float(high), len(values))


def combine(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], a: Estimate | None, b: Estimate | None, seed: int = 0
) -> Estimate | None:
    """A figure of two independent proportions, with a percentile interval from draws of their Beta posteriors."""
    if a is None or b is None or a.successes is None or b.successes is None:
        return None
    random = np.random.default_rng(seed)
    draws = [random.beta(e.successes + 0.5, e.n - e.successes + 0.5, _RESAMPLES) for e in (a, b) if e.successes is not None]
    low, high = np.quantile(function(*draws), [0.025, 0.975])
    value = float(function(np.array([a.value]), np.array([b.value]))[0])
    return Estimate(value, min(float(low), value), max(float(high), value), min(a.n, b.n))


def harmonic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """2ab/(a + b); 0 where both are 0."""
    total = a + b
    return np.divide(2 * a * b, total, out=np.zeros_like(total, dtype=float), where=total > 0)
