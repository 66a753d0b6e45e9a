"""The advantages against an independent reimplementation in NumPy, rollout by rollout, and what holds for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl_core.rl.advantages import STRATEGIES, grpo_advantages, ifpo_advantages

EPSILON = 1e-4
Batch = tuple[list[float], list[bool], int]


@st.composite
def batches(draw: st.DrawFn, judged: bool = False) -> Batch:
    """Rewards with NaN among them (unless `judged`), modes and the group size; one to four groups of one to nine."""
    size = draw(st.integers(1, 9))
    n = size * draw(st.integers(1, 4))
    reward = st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.7, 1.0]) | st.floats(-2, 2, width=32)
    rewards = draw(st.lists(reward if judged else reward | st.just(math.nan), min_size=n, max_size=n))
    return rewards, draw(st.lists(st.booleans(), min_size=n, max_size=n)), size


def actual(batch: Batch, rebalance: str, max_weight: float | None = None) -> np.ndarray:
    """(N,) from the code under test, in float64."""
    rewards, consulted, size = batch
    given_rewards = torch.tensor(rewards, dtype=torch.float64)
    return ifpo_advantages(given_rewards, torch.tensor(consulted), size, rebalance=rebalance, max_weight=max_weight).numpy()


def standardised(values: list[float]) -> list[float]:
    """GRPO's advantages of the values; zeros for fewer than two."""
    if len(values) < 2:
        return [0.0] * len(values)
    return [(value - np.mean(values)) / (np.std(values, ddof=1) + EPSILON) for value in values]


def expected_group(rewards: list[float], modes: list[bool], rebalance: str, max_weight: float) -> list[float]:
    """The formulas of the module, over the judged rollouts of one group alone."""
    n = len(rewards)
    if n < 2:
        return [0.0] * n
    counts = [modes.count(mode) for mode in modes]
    weights = [min(n / (len(set(modes)) * count), max_weight) if len(set(modes)) == 2 else 1.0 for count in counts]
    if rebalance == "reward":
        return standardised([w * r for w, r in zip(weights, rewards, strict=True)])
    if rebalance == "within_mode":
        of_mode = {mode: iter(standardised([r for r, m in zip(rewards, modes, strict=True) if m is mode])) for mode in (True, False)}
        return [next(of_mode[mode]) for mode in modes]
    if rebalance == "balanced":
        b = np.average(rewards, weights=weights)
        s = math.sqrt(np.average([(r - b) ** 2 for r in rewards], weights=weights) * n / (n - 1))
        return [w * (r - b) / (s + EPSILON) for w, r in zip(weights, rewards, strict=True)]
    plain = standardised(rewards)
    weighted = {"none": lambda a: False, "all": lambda a: True, "positive": lambda a: a > 0}[rebalance]
    return [w * a if weighted(a) else a for w, a in zip(weights, plain, strict=True)]


def expected(batch: Batch, rebalance: str, max_weight: float | None) -> list[float]:
    """(N,) by the reimplementation."""
    rewards, consulted, size = batch
    result = [0.0] * len(rewards)
    for start in range(0, len(rewards), size):
        judged = [i for i in range(start, start + size) if not math.isnan(rewards[i])]
        group = expected_group([rewards[i] for i in judged], [consulted[i] for i in judged], rebalance, max_weight or math.inf)
        for i, value in zip(judged, group, strict=True):
            result[i] = value
    return result


@pytest.mark.parametrize("rebalance", STRATEGIES)
@settings(max_examples=100, deadline=None)
@given(batch=batches(), max_weight=st.none() | st.floats(1, 4))
def test_every_strategy_equals_the_reimplementation(rebalance: str, batch: Batch, max_weight: float | None) -> None:
    np.testing.assert_allclose(actual(batch, rebalance, max_weight), expected(batch, rebalance, max_weight), rtol=1e-6, atol=1e-8)


@settings(max_examples=100, deadline=None)
@given(batch=batches())
def test_without_rebalancing_it_is_grpo(batch: Batch) -> None:
    rewards, _, size = batch
    np.testing.assert_array_equal(actual(batch, "none"), grpo_advantages(torch.tensor(rewards, dtype=torch.float64), size).numpy())


@settings(max_examples=100, deadline=None)
@given(batch=batches(judged=True))
def test_the_modes_may_swap_their_names(batch: Batch) -> None:
    rewards, consulted, size = batch
    swapped = (rewards, [not mode for mode in consulted], size)
    for rebalance in STRATEGIES:
        np.testing.assert_allclose(actual(swapped, rebalance), actual(batch, rebalance), atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(batch=batches(), seed=st.integers(0, 99))
def test_the_order_within_a_group_does_not_matter(batch: Batch, seed: int) -> None:
    rewards, consulted, size = batch
    order = np.concatenate([start + np.random.default_rng(seed).permutation(size) for start in range(0, len(rewards), size)])
    shuffled = ([rewards[i] for i in order], [consulted[i] for i in order], size)
    for rebalance in STRATEGIES:
        np.testing.assert_allclose(actual(shuffled, rebalance), actual(batch, rebalance)[order], rtol=1e-6, atol=1e-8)


@settings(max_examples=100, deadline=None)
@given(batch=batches(), max_weight=st.floats(1, 4))
def test_positive_keeps_signs_and_failures_and_respects_the_cap(batch: Batch, max_weight: float) -> None:
    plain, rebalanced = actual(batch, "none"), actual(batch, "positive", max_weight)
    assert np.array_equal(np.sign(plain), np.sign(rebalanced))
    assert np.array_equal(plain[plain <= 0], rebalanced[plain <= 0])
    assert np.all(rebalanced[plain > 0] <= max_weight * plain[plain > 0] * (1 + 1e-12))


@settings(max_examples=100, deadline=None)
@given(batch=batches())
def test_advantages_are_finite(batch: Batch) -> None:
    for rebalance in STRATEGIES:
        assert np.isfinite(actual(batch, rebalance)).all()
