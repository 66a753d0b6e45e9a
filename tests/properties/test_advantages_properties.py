"""The advantages against an independent reimplementation in NumPy, rollout by rollout, and what holds for all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ascl_core.rl.advantages import STRATEGIES, grpo_advantages, ifpo_advantages, mode_weights

EPSILON = 1e-4
Batch = tuple[list[float], list[bool], int]
OVER_ALL = settings(max_examples=100, deadline=None)
TAUS = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 3)
UNEQUAL_MODES = ("conditional",)
"""The rules for which it matters which of the modes is consulting."""


@st.composite
def batches(draw: st.DrawFn, judged: bool = False) -> Batch:
    """Rewards with NaN among them (unless `judged`), modes and the group size; one to four groups of one to nine."""
    size = draw(st.integers(1, 9))
    n = size * draw(st.integers(1, 4))
    reward = st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.7, 1.0]) | st.floats(-2, 2, width=32)
    rewards = draw(st.lists(reward if judged else reward | st.just(math.nan), min_size=n, max_size=n))
    return rewards, draw(st.lists(st.booleans(), min_size=n, max_size=n)), size


def actual(batch: Batch, rebalance: str, **options: Any) -> np.ndarray:
    """(N,) from the code under test, in float64."""
    rewards, consulted, size = batch
    given_rewards = torch.tensor(rewards, dtype=torch.float64)
    return ifpo_advantages(given_rewards, torch.tensor(consulted), size, rebalance=rebalance, **options).numpy()


def weights_of(batch: Batch, **options: Any) -> np.ndarray:
    """(B, G) IFPO's weights; NaN where nothing was judged."""
    rewards, consulted, size = batch
    weights = mode_weights(torch.tensor(rewards, dtype=torch.float64), torch.tensor(consulted), size, **options).numpy()
    return np.where(np.isnan(rewards), np.nan, weights).reshape(-1, size)


def standardised(values: list[float]) -> list[float]:
    """GRPO's advantages of the values; zeros for fewer than two."""
    if len(values) < 2:
        return [0.0] * len(values)
    return [(value - np.mean(values)) / (np.std(values, ddof=1) + EPSILON) for value in values]


def expected_weights(modes: list[bool], tau: float, low: float, high: float) -> list[float]:
    """Eq. 3 over the judged rollouts of one group, literally."""
    powers = [(len(modes) / modes.count(mode)) ** tau for mode in modes]
    return [min(max(power / float(np.mean(powers)), low), high) for power in powers]


def expected_group(rewards: list[float], modes: list[bool], rebalance: str, tau: float, low: float, high: float) -> list[float]:
    """The formulas of the rules, over the judged rollouts of one group alone."""
    n = len(rewards)
    if n < 2:
        return [0.0] * n
    plain = standardised(rewards)
    weights = expected_weights(modes, tau if rebalance == "ifpo" else 1.0, low, high)
    if rebalance == "reward":
        return standardised([w * r for w, r in zip(weights, rewards, strict=True)])
    if rebalance == "within_mode":
        of_mode = {mode: iter(standardised([r for r, m in zip(rewards, modes, strict=True) if m is mode])) for mode in (True, False)}
        return [next(of_mode[mode]) for mode in modes]
    if rebalance == "balanced":
        b = np.average(rewards, weights=weights)
        s = math.sqrt(np.average([(r - b) ** 2 for r in rewards], weights=weights) * n / (n - 1))
        return [w * (r - b) / (s + EPSILON) for w, r in zip(weights, rewards, strict=True)]
    if rebalance == "mode_mean":
        means = {mode: np.mean([r for r, m in zip(rewards, modes, strict=True) if m is mode]) for mode in set(modes)}
        return [a + z for a, z in zip(plain, standardised([float(means[mode]) for mode in modes]), strict=True)]
    if rebalance == "conditional":
        efficiency = iter(standardised([1 / (1 + mode) for r, mode in zip(rewards, modes, strict=True) if r > 0]))
        return [a + 0.1 * next(efficiency) if r > 0 else a for a, r in zip(plain, rewards, strict=True)]
    weighted = {"none": lambda a: False, "ifpo": lambda a: True, "all": lambda a: True, "one_sided": lambda a: a > 0}[rebalance]
    return [w * a if weighted(a) else a for w, a in zip(weights, plain, strict=True)]


def expected(batch: Batch, rebalance: str, tau: float, low: float | None, high: float | None) -> list[float]:
    """(N,) by the reimplementation."""
    rewards, consulted, size = batch
    result = [0.0] * len(rewards)
    for start in range(0, len(rewards), size):
        judged = [i for i in range(start, start + size) if not math.isnan(rewards[i])]
        of_group = [rewards[i] for i in judged], [consulted[i] for i in judged]
        for i, value in zip(judged, expected_group(*of_group, rebalance, tau, low or 0.0, high or math.inf), strict=True):
            result[i] = value
    return result


@pytest.mark.parametrize("rebalance", STRATEGIES)
@OVER_ALL
@given(batch=batches(), tau=TAUS, low=st.none() | st.floats(0, 1), high=st.none() | st.floats(1, 4))
def test_every_strategy_equals_the_reimplementation(
    rebalance: str, batch: Batch, tau: float, low: float | None, high: float | None
) -> None:
    found = actual(batch, rebalance, tau=tau, min_weight=low, max_weight=high)
    np.testing.assert_allclose(found, expected(batch, rebalance, tau, low, high), rtol=1e-6, atol=1e-8)


@OVER_ALL
@given(batch=batches())
def test_tau_0_and_no_rebalancing_are_grpo(batch: Batch) -> None:
    rewards, _, size = batch
    grpo = grpo_advantages(torch.tensor(rewards, dtype=torch.float64), size).numpy()
    np.testing.assert_array_equal(actual(batch, "none"), grpo)
    np.testing.assert_array_equal(actual(batch, "ifpo", tau=0.0), grpo)


@OVER_ALL
@given(batch=batches(), tau=TAUS)
def test_the_weights_of_the_judged_rollouts_average_1_and_the_rarer_mode_weighs_more(batch: Batch, tau: float) -> None:
    for weights, modes in zip(weights_of(batch, tau=tau), np.reshape(batch[1], (-1, batch[2])), strict=True):
        judged = ~np.isnan(weights)
        if judged.any():
            assert np.mean(weights[judged]) == pytest.approx(1.0)
        often, rare = sorted((weights[judged & modes], weights[judged & ~modes]), key=len, reverse=True)
        if len(rare):
            assert rare[0] >= often[0] - 1e-12
        else:
            assert np.all(often == 1.0)


@OVER_ALL
@given(batch=batches(), tau=TAUS, low=st.floats(0, 1), high=st.floats(1, 4))
def test_clipped_weights_are_the_weights_within_their_bounds(batch: Batch, tau: float, low: float, high: float) -> None:
    clipped = weights_of(batch, tau=tau, min_weight=low, max_weight=high)
    np.testing.assert_allclose(clipped, np.clip(weights_of(batch, tau=tau), low, high), rtol=1e-12)


@pytest.mark.parametrize("rebalance", ["none", "ifpo", "all", "one_sided", "balanced", "within_mode", "mode_mean"])
@OVER_ALL
@given(batch=batches(), shift=st.floats(-3, 3), scale=st.floats(0.1, 10))
def test_shifting_and_scaling_the_rewards_changes_nothing(rebalance: str, batch: Batch, shift: float, scale: float) -> None:
    rewards, consulted, size = batch
    rounded = [round(reward, 2) if not math.isnan(reward) else reward for reward in rewards]  # spreads are 0 or far above rounding
    moved = ([scale * reward + shift for reward in rounded], consulted, size)
    assume(not _has_tiny_spread(moved, scale))
    found = actual(moved, rebalance, epsilon=1e-9)
    np.testing.assert_allclose(found, actual((rounded, consulted, size), rebalance, epsilon=1e-9), rtol=1e-4, atol=1e-5)


def _has_tiny_spread(batch: Batch, scale: float) -> bool:
    """Whether some values that were equal differ by rounding: divided by an epsilon of 1e-9 that is no longer nothing."""
    rewards, consulted, size = batch
    groups = [
        [r for r, m in zip(rewards[i : i + size], consulted[i : i + size], strict=True) if m in modes]
        for i in range(0, len(rewards), size)
        for modes in ((True, False), (True,), (False,))
    ]
    means = [float(np.nanmean(group)) for group in groups if not all(map(math.isnan, group))]
    between = [abs(a - b) for a in means for b in means if a != b]
    return any(0 < gap < 1e-4 * scale for gap in between) or any(
        0 < abs(a - b) < 1e-4 * scale for group in groups for a in group for b in group
    )


@OVER_ALL
@given(batch=batches(), tau=TAUS)
def test_swapping_the_modes_swaps_the_weights(batch: Batch, tau: float) -> None:
    rewards, consulted, size = batch
    swapped = weights_of((rewards, [not mode for mode in consulted], size), tau=tau)
    np.testing.assert_allclose(swapped, weights_of(batch, tau=tau), rtol=1e-12)
    for rebalance in STRATEGIES.keys() - set(UNEQUAL_MODES):
        other = actual((rewards, [not mode for mode in consulted], size), rebalance)
        np.testing.assert_allclose(other, actual(batch, rebalance), atol=1e-9)


@OVER_ALL
@given(n=st.integers(2, 9), consulting=st.integers(1, 8), tau=TAUS)
def test_a_mode_has_the_weight_that_the_other_has_at_its_frequency(n: int, consulting: int, tau: float) -> None:
    assume(consulting < n)
    rewards = [0.0] * n
    few = weights_of((rewards, [i < consulting for i in range(n)], n), tau=tau)[0]
    many = weights_of((rewards, [i >= consulting for i in range(n)], n), tau=tau)[0]
    assert few[0] == pytest.approx(many[0])
    assert few[0] / few[-1] == pytest.approx(((n - consulting) / consulting) ** tau)


@OVER_ALL
@given(batch=batches(), seed=st.integers(0, 99))
def test_the_order_within_a_group_does_not_matter(batch: Batch, seed: int) -> None:
    rewards, consulted, size = batch
    order = np.concatenate([start + np.random.default_rng(seed).permutation(size) for start in range(0, len(rewards), size)])
    shuffled = ([rewards[i] for i in order], [consulted[i] for i in order], size)
    for rebalance in STRATEGIES:
        np.testing.assert_allclose(actual(shuffled, rebalance), actual(batch, rebalance)[order], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rebalance", STRATEGIES)
@OVER_ALL
@given(batch=batches())
def test_what_is_not_judged_gets_0_and_a_single_judged_rollout_too(rebalance: str, batch: Batch) -> None:
    judged = ~np.isnan(batch[0]).reshape(-1, batch[2])
    found = actual(batch, rebalance).reshape(-1, batch[2])
    assert np.all(found[~judged] == 0)
    assert np.all(found[judged.sum(1) < 2] == 0)


@pytest.mark.parametrize("rebalance", STRATEGIES)
@OVER_ALL
@given(batch=batches(), mode=st.booleans())
def test_with_one_mode_every_rule_is_grpo(rebalance: str, batch: Batch, mode: bool) -> None:
    alone = (batch[0], [mode] * len(batch[1]), batch[2])
    np.testing.assert_allclose(actual(alone, rebalance), actual(alone, "none"), rtol=1e-9, atol=1e-9)


@OVER_ALL
@given(batch=batches(), max_weight=st.floats(1, 4))
def test_one_sided_keeps_signs_and_failures_and_respects_the_bound(batch: Batch, max_weight: float) -> None:
    plain, rebalanced = actual(batch, "none"), actual(batch, "one_sided", max_weight=max_weight)
    assert np.array_equal(np.sign(plain), np.sign(rebalanced))
    assert np.array_equal(plain[plain <= 0], rebalanced[plain <= 0])
    assert np.all(rebalanced[plain > 0] <= max_weight * plain[plain > 0] * (1 + 1e-12))


@OVER_ALL
@given(batch=batches())
def test_advantages_are_finite(batch: Batch) -> None:
    for rebalance in STRATEGIES:
        assert np.isfinite(actual(batch, rebalance)).all()
