"""Intervals against SciPy, and that no data is no figure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from ascl_core.evaluation.intervals import Estimate, bootstrap_mean, combine, harmonic, proportion, wilson


@pytest.mark.parametrize("n", [1, 2, 7, 30, 400])
def test_the_wilson_interval_is_that_of_scipy(n: int) -> None:
    for successes in range(0, n + 1, max(1, n // 20)):
        estimate = wilson(successes, n)
        assert estimate is not None
        expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
        assert (estimate.low, estimate.high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high, abs=1e-12))
        assert (estimate.value, estimate.n, estimate.successes) == (successes / n, n, successes)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_certainty_is_never_claimed() -> None:
    none, all_ = wilson(0, 10), wilson(10, 10)
    assert none is not None
    assert all_ is not None
    assert none.high == pytest.approx(0.2775, abs=1e-4)
    assert all_.low == pytest.approx(1 - 0.2775, abs=1e-4)


def test_no_data_is_no_figure() -> None:
    assert wilson(0, 0) is None
    assert proportion([]) is None
    assert bootstrap_mean([], []) is None
    assert combine(harmonic, None, wilson(1, 2)) is None
    assert combine(harmonic, wilson(1, 2), None) is None


def test_a_proportion_counts_true() -> None:
    assert proportion([True, False, True, True]) == wilson(3, 4)


class TestBootstrap:
    """The mean over prompts: samples of one prompt are drawn together."""

    VALUES = tuple(np.random.default_rng(0).random(200))

    def test_the_interval_is_about_that_of_the_normal_distribution(self) -> None:
        estimate = bootstrap_mean(self.VALUES, [str(i) for i in range(200)])
        assert estimate is not None
        assert estimate.value == pytest.approx(np.mean(self.VALUES))
        half = 1.96 * np.std(self.VALUES, ddof=1) / np.sqrt(200)
        assert (estimate.low, estimate.high) == (
            pytest.approx(estimate.value - half, abs=0.01),
            pytest.approx(estimate.value + half, abs=0.01),
        )

    def test_repeating_every_answer_adds_no_certainty(self) -> None:
        once = bootstrap_mean(self.VALUES, [str(i) for i in range(200)])
        thrice = bootstrap_mean(self.VALUES * 3, [str(i) for i in range(200)] * 3)
        assert once is not None
        assert thrice is not None
        assert (thrice.low, thrice.high) == (pytest.approx(once.low), pytest.approx(once.high))
        assert (once.n, thrice.n) == (200, 600)

    def test_a_seed_decides(self) -> None:
        clusters = [str(i) for i in range(200)]
        assert bootstrap_mean(self.VALUES, clusters, seed=1) == bootstrap_mean(self.VALUES, clusters, seed=1)
        assert bootstrap_mean(self.VALUES, clusters, seed=1) != bootstrap_mean(self.VALUES, clusters, seed=2)

    def test_a_mean_is_no_proportion(self) -> None:
        estimate = bootstrap_mean([1.0, 0.0], ["a", "b"])
        assert estimate is not None
        assert estimate.successes is None
        assert combine(harmonic, estimate, estimate) is None


def test_h_is_the_harmonic_mean_with_an_interval_around_it() -> None:
    h = combine(harmonic, wilson(90, 100), wilson(40, 80))
    assert h is not None
    assert h.value == pytest.approx(2 * 0.9 * 0.5 / 1.4)
    assert 0.5 < h.low < h.value < h.high < 0.75
    assert h.n == 80


def test_the_harmonic_mean_of_nothing_is_nothing() -> None:
    assert harmonic(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])).tolist() == [0.0, 0.0, 1.0]
    h = combine(harmonic, wilson(0, 10), wilson(0, 10))
    assert h is not None
    assert (h.value, h.low) == (0.0, 0.0)


def test_an_estimate_stands_in_the_metrics_as_it_is() -> None:
    assert Estimate(0.5, 0.1, 0.9, 4, 2).to_json() == {"value": 0.5, "low": 0.1, "high": 0.9, "n": 4, "successes": 2}
