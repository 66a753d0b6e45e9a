"""GRPO's advantages and their rebalanced variants, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ascl_core.config.ifpo import IfpoConfig
from ascl_core.rl.advantages import (
    STRATEGIES,
    decay,
    grpo_advantages,
    ifpo_advantages,
    mode_weights,
    one_mode_fraction,
    weighted_advantages,
)

NAN = math.nan
REWARDS = (1.0, 0.0, 1.0, 0.0)
CONSULTED = (True, True, True, False)
"""Three consulting, one direct: weights 4/(2*3) and 4/(2*1)."""
STD = 1 / math.sqrt(3)
"""Sample standard deviation of REWARDS: four squares of 1/2 over n - 1 = 3."""
A = 0.5 / STD


def rewards_of(*values: float) -> Tensor:
    """(N,) float64, so that numbers compare to many digits."""
    return torch.tensor(values, dtype=torch.float64)


def ifpo(rewards: tuple[float, ...], consulted: tuple[bool, ...], rebalance: str, **options: float) -> list[float]:
    """Advantages of one group without epsilon."""
    return ifpo_advantages(
        rewards_of(*rewards), torch.tensor(consulted), len(rewards), rebalance=rebalance, epsilon=0.0, **options
    ).tolist()


# Balanced: the weights sum to 4, so b = (2/3 + 2/3)/4 = 1/3 and the sum of w (r-b)^2 = 2/3 (4/9 + 1/9 + 4/9) + 2/9 = 8/9;
# s^2 = 8/9 / 4 * 4/3 = 8/27.
_S = math.sqrt(8 / 27)
BY_HAND = {
    "none": (A, -A, A, -A),
    "all": (2 / 3 * A, -2 / 3 * A, 2 / 3 * A, -2 * A),
    "positive": (2 / 3 * A, -A, 2 / 3 * A, -A),
    "balanced": (2 / 3 * (2 / 3) / _S, 2 / 3 * (-1 / 3) / _S, 2 / 3 * (2 / 3) / _S, 2 * (-1 / 3) / _S),
    # Weighted rewards 2/3, 0, 2/3, 0.
    "reward": (A, -A, A, -A),
    # Consulting 1, 0, 1: mean 2/3, std sqrt(1/3); the only direct rollout gets 0.
    "within_mode": (1 / math.sqrt(3), -2 / math.sqrt(3), 1 / math.sqrt(3), 0.0),
}


@pytest.mark.parametrize("rebalance", STRATEGIES)
def test_each_strategy_gives_the_numbers_worked_out_by_hand(rebalance: str) -> None:
    assert ifpo(REWARDS, CONSULTED, rebalance) == pytest.approx(BY_HAND[rebalance])


def test_a_rare_success_weighs_more_and_a_rare_failure_as_before() -> None:
    rare_right = ifpo((0.0, 0.0, 1.0, 1.0), CONSULTED, "positive")
    assert rare_right == pytest.approx([-A, -A, 2 / 3 * A, 2 * A])


def test_weighting_the_reward_changes_its_mean() -> None:
    # Rewards 1, 1, 0, 1 with weights 2/3 and 2 are 2/3, 2/3, 0, 2: mean 5/6, squares 1/36 + 1/36 + 25/36 + 49/36 = 76/36.
    std = math.sqrt(76 / 36 / 3)
    assert ifpo((1.0, 1.0, 0.0, 1.0), CONSULTED, "reward") == pytest.approx([-1 / 6 / std, -1 / 6 / std, -5 / 6 / std, 7 / 6 / std])


def test_the_default_is_positive() -> None:
    default = ifpo_advantages(rewards_of(*REWARDS), torch.tensor(CONSULTED), 4)
    assert torch.equal(default, ifpo_advantages(rewards_of(*REWARDS), torch.tensor(CONSULTED), 4, rebalance="positive"))


def test_the_configuration_knows_exactly_these_strategies() -> None:
    for rebalance in STRATEGIES:
        assert IfpoConfig(rebalance=rebalance).rebalance == rebalance  # type: ignore[arg-type]
    assert len(IfpoConfig.model_json_schema()["properties"]["rebalance"]["enum"]) == len(STRATEGIES)


def test_grpo_uses_the_sample_standard_deviation_and_adds_epsilon() -> None:
    assert grpo_advantages(rewards_of(3.0, 1.0), 2, epsilon=0.5).tolist() == pytest.approx(
        [1 / (math.sqrt(2) + 0.5), -1 / (math.sqrt(2) + 0.5)]
    )
    assert grpo_advantages(rewards_of(1.0, 0.0), 2).tolist() == pytest.approx(
        [0.5 / (math.sqrt(0.5) + 1e-4), -0.5 / (math.sqrt(0.5) + 1e-4)]
    )


def test_groups_are_contiguous_and_independent() -> None:
    both = ifpo_advantages(rewards_of(*REWARDS, 5.0, 5.0, 9.0, 1.0), torch.tensor((*CONSULTED, False, True, True, True)), 4)
    first = ifpo_advantages(rewards_of(*REWARDS), torch.tensor(CONSULTED), 4)
    assert torch.equal(both[:4], first)


@pytest.mark.parametrize("rebalance", STRATEGIES)
def test_a_rollout_without_a_reward_is_as_if_it_were_not_there(rebalance: str) -> None:
    with_nan = ifpo((1.0, NAN, 0.0, 1.0, NAN, 0.0), (True, False, True, True, True, False), rebalance)
    without = ifpo(REWARDS, (True, True, True, False), rebalance)
    assert [with_nan[i] for i in (0, 2, 3, 5)] == pytest.approx(without)
    assert [with_nan[i] for i in (1, 4)] == [0.0, 0.0]


@pytest.mark.parametrize("rebalance", STRATEGIES)
@pytest.mark.parametrize("rewards", [(NAN, NAN, NAN, NAN), (1.0, NAN, NAN, NAN)])
def test_fewer_than_two_judged_rollouts_give_zeros(rebalance: str, rewards: tuple[float, ...]) -> None:
    assert ifpo(rewards, CONSULTED, rebalance) == [0.0] * 4


@pytest.mark.parametrize("rebalance", STRATEGIES)
@pytest.mark.parametrize("mode", [True, False])
def test_a_group_with_one_mode_is_plain_grpo(rebalance: str, mode: bool) -> None:
    assert ifpo(REWARDS, (mode,) * 4, rebalance) == pytest.approx(BY_HAND["none"])


def test_a_mode_that_no_judge_judged_does_not_count_as_present() -> None:
    assert ifpo((1.0, 0.0, 1.0, NAN), CONSULTED, "positive") == pytest.approx(ifpo((1.0, 0.0, 1.0, NAN), CONSULTED, "none"))


@pytest.mark.parametrize("rebalance", sorted(STRATEGIES.keys() - {"reward"}))
def test_equal_rewards_give_zeros(rebalance: str) -> None:
    advantages = ifpo_advantages(rewards_of(0.7, 0.7, 0.7, 0.7), torch.tensor(CONSULTED), 4, rebalance=rebalance)
    assert advantages.tolist() == pytest.approx([0.0] * 4, abs=1e-9)


def test_a_cap_limits_the_weight_of_the_rare_mode_only() -> None:
    assert ifpo((0.0, 0.0, 1.0, 1.0), CONSULTED, "positive", max_weight=1.5) == pytest.approx([-A, -A, 2 / 3 * A, 1.5 * A])


def test_weights_are_inverse_frequencies_over_the_group_or_the_batch() -> None:
    rewards, modes = rewards_of(0, 0, 0, 0, NAN, 0, 0, 0), torch.tensor([True, True, True, False, False, True, True, True])
    by_group = mode_weights(rewards, modes, 4)
    assert by_group.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0, 1.0, 1.0, 1.0, 1.0])
    by_batch = mode_weights(rewards, modes, 4, frequency="batch")
    assert by_batch[[0, 3]].tolist() == pytest.approx([7 / 12, 7 / 2])


def test_the_weights_of_a_group_sum_to_its_judged_size() -> None:
    weights = mode_weights(rewards_of(*REWARDS), torch.tensor(CONSULTED), 4)
    assert float(weights.sum()) == pytest.approx(4.0)


def test_the_decay_goes_on_a_cosine_to_one() -> None:
    weights = rewards_of(3.0, 0.5)
    assert decay(weights, 0, 10).tolist() == pytest.approx([3.0, 0.5])
    assert decay(weights, 5, 10).tolist() == pytest.approx([2.0, 0.75])
    assert decay(weights, 10, 10).tolist() == decay(weights, 99, 10).tolist() == pytest.approx([1.0, 1.0])
    assert decay(weights, 5, 0) is weights


def test_groups_with_one_mode_are_counted_over_the_judged() -> None:
    rewards = rewards_of(1, 0, 1, NAN, 1, 0)
    assert one_mode_fraction(rewards, torch.tensor([True, False, True, False, False, False]), 2) == pytest.approx(2 / 3)


def test_the_dtype_of_the_rewards_is_kept() -> None:
    assert ifpo_advantages(torch.tensor(REWARDS), torch.tensor(CONSULTED), 4).dtype is torch.float32
    assert grpo_advantages(rewards_of(*REWARDS), 4).dtype is torch.float64


def test_no_rollouts_have_no_advantages() -> None:
    assert grpo_advantages(rewards_of(), 4).shape == (0,)


def test_inputs_are_left_as_they_were() -> None:
    rewards, consulted = rewards_of(1.0, NAN, 0.0, 1.0), torch.tensor(CONSULTED)
    ifpo_advantages(rewards, consulted, 4)
    assert torch.equal(rewards.nan_to_num(nan=-9.0), rewards_of(1.0, -9.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("rewards", "consulted", "group_size", "options", "message"),
    [
        (torch.zeros(5), torch.zeros(5, dtype=torch.bool), 4, {}, "5 rollouts are not a multiple of group_size 4"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 0, {}, "group_size 0"),
        (torch.zeros(4), torch.zeros(3, dtype=torch.bool), 4, {}, r"one shape \(N,\), got \(4,\) and \(3,\)"),
        (torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bool), 2, {}, r"got \(2, 2\)"),
        (torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.bool), 4, {}, "floating point, got torch.int64"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"rebalance": "ifpo"}, "'ifpo'; expected one of none, all"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"max_weight": 0.5}, "max_weight is 0.5; expected at least 1"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"max_weight": NAN}, "max_weight is nan"),
    ],
)
def test_what_does_not_fit_is_refused(rewards: Tensor, consulted: Tensor, group_size: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ifpo_advantages(rewards, consulted, group_size, **options)


def test_weights_may_be_given() -> None:
    given = weighted_advantages(rewards_of(*REWARDS), torch.tensor(CONSULTED), 4, rewards_of(1, 1, 3, 1), rebalance="positive", epsilon=0.0)
    assert given.tolist() == pytest.approx([A, -A, 3 * A, -A])
