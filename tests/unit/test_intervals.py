"""Intervals against SciPy, and that no data is no figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from ascl_core.evaluation.intervals import Clustered, Estimate, bootstrap_mean, combine_suites, effective_n, harmonic, proportion, wilson


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
    assert combine_suites(harmonic, [], [Clustered([1.0], ["a"])]) is None
    assert combine_suites(harmonic, [Clustered([1.0], ["a"])], [Clustered([], [])]) is None
    assert proportion([], []) is None


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


class TestClusters:
    """Several answers to one prompt are worth as much as they differ."""

    def test_identical_samples_do_not_tighten_the_interval(self) -> None:
        flags, prompts = [True] * 90 + [False] * 10, [f"{i}" for i in range(100)]
        once, often = proportion(flags, prompts), proportion(flags * 8, prompts * 8)
        unclustered = proportion(flags * 8)
        assert once is not None
        assert often is not None
        assert unclustered is not None
        assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))
        assert (often.n, often.successes, often.value) == (800, 720, 0.9)
        assert (round(often.low, 3), round(unclustered.low, 3)) == (0.826, 0.877)

    def test_one_answer_to_each_prompt_is_a_plain_proportion(self) -> None:
        found = proportion([True, False, True], ["a", "b", "c"])
        assert found is not None
        assert (found.prompts, replace(found, prompts=None)) == (3, wilson(2, 3))

    def test_samples_that_differ_as_much_within_a_prompt_as_between_count_in_full(self) -> None:
        # Every prompt has 1 of 2 right: the clusters do not differ at all, and the design effect is at least 1.
        assert effective_n(Clustered([True, False] * 10, [f"{i // 2}" for i in range(20)])) == 20

    def test_the_design_effect_by_hand(self) -> None:
        # Prompts a: 2 of 2, b: 1 of 2, c: 0 of 2; p = 1/2. Σ (s - pm)² = 1 + 0 + 1 = 2; n p (1 - p) = 6/4; effect 4/3; 6 / (4/3).
        assert effective_n(Clustered([1, 1, 1, 0, 0, 0], list("aabbcc"))) == pytest.approx(4.5)

    def test_where_nothing_varies_a_prompt_counts_once(self) -> None:
        certain, one_prompt = proportion([True] * 80, [f"{i // 8}" for i in range(80)]), proportion([True, False] * 4, ["a"] * 8)
        assert certain is not None
        assert one_prompt is not None
        assert certain.low == pytest.approx(1 - 0.2775, abs=1e-4)
        assert one_prompt.high - one_prompt.low > 0.85


class TestOverSuites:
    """Every suite weighs the same; prompts are resampled within their suites."""

    @staticmethod
    def suite(right: int, n: int) -> Clustered:
        return Clustered([1.0] * right + [0.0] * (n - right), [f"{i}" for i in range(n)])

    def test_three_parts_by_hand(self) -> None:
        # (0.9 + 0.5) / 2 = 0.7; 7/8; (3/4 + 1/4) / 2 = 0.5; 3 / (1/0.7 + 8/7 + 2) = 3 / (32/7) = 21/32.
        parts = [self.suite(9, 10), self.suite(1, 2)], [self.suite(7, 8)], [self.suite(3, 4), self.suite(10, 40)]
        estimate = combine_suites(harmonic, *parts)
        assert estimate is not None
        assert estimate.value == pytest.approx(21 / 32)
        assert 0 <= estimate.low < estimate.value < estimate.high < 0.9
        assert (estimate.n, estimate.successes) == (8, None)
        assert combine_suites(harmonic, *parts) == estimate

    def test_the_interval_is_that_of_the_mean_where_there_is_one_suite(self) -> None:
        suite = self.suite(60, 100)
        alone = combine_suites(lambda mean: mean, [suite])
        assert alone == bootstrap_mean(suite.values, suite.clusters)

    def test_repeating_every_answer_adds_no_certainty(self) -> None:
        once = Clustered([1.0, 0.0, 1.0, 1.0], list("abcd"))
        often = Clustered(list(once.values) * 8, list(once.clusters) * 8)
        a, b = combine_suites(harmonic, [once], [once]), combine_suites(harmonic, [often], [often])
        assert a is not None
        assert b is not None
        assert (b.low, b.value, b.high) == pytest.approx((a.low, a.value, a.high))

    def test_a_suite_without_observations_is_left_out(self) -> None:
        assert combine_suites(harmonic, [self.suite(1, 2), Clustered([], [])]) == combine_suites(harmonic, [self.suite(1, 2)])


def test_the_harmonic_mean_of_nothing_is_nothing() -> None:
    assert harmonic(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])).tolist() == [0.0, 0.0, 1.0]
    assert float(harmonic(0.5, 0.0, 1.0)) == 0.0
    assert float(harmonic(0.9, 0.94, 0.8)) == pytest.approx(3 / (1 / 0.9 + 1 / 0.94 + 1 / 0.8))


def test_an_estimate_stands_in_the_metrics_as_it_is() -> None:
    assert Estimate(0.5, 0.1, 0.9, 4, 2).to_json() == {"value": 0.5, "low": 0.1, "high": 0.9, "n": 4, "successes": 2, "prompts": None}
