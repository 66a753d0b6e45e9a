"""The advantages of GRPO, IFPO and the other rules, against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ascl_core.config.ifpo import IfpoConfig
from ascl_core.rl.advantages import STRATEGIES, grpo_advantages, ifpo_advantages, mode_weights, one_mode_fraction

NAN = math.nan
REWARDS = (1.0, 0.0, 1.0, 0.0)
CONSULTED = (True, True, True, False)
"""Three consulting, one direct: inverse frequencies 4/(2*3) = 2/3 and 4/(2*1) = 2, those of `all`."""
STD = 1 / math.sqrt(3)
"""Sample standard deviation of REWARDS: four squares of 1/2 over n - 1 = 3."""
A = 0.5 / STD


def rewards_of(*values: float) -> Tensor:
    """(N,) float64, so that numbers compare to many digits."""
    return torch.tensor(values, dtype=torch.float64)


def ifpo(rewards: tuple[float, ...], consulted: tuple[bool, ...], rebalance: str, **options: Any) -> list[float]:
    """Advantages of one group without epsilon."""
    return ifpo_advantages(
        rewards_of(*rewards), torch.tensor(consulted), len(rewards), rebalance=rebalance, epsilon=0.0, **options
    ).tolist()


# IFPO: v = sqrt(4/3) = 1.1547 for each of the three and sqrt(4/1) = 2 for the one; their mean is (3 * 1.1547 + 2) / 4 = 1.3660.
_V = (3 * math.sqrt(4 / 3) + 2) / 4
OFTEN, RARE = math.sqrt(4 / 3) / _V, 2 / _V
# Conditional: right are rollouts 1 and 3, both with one look-up, so that efficiency 1/2, 1/2 has no spread.
# Mode means: 2/3 for the three, 0 for the one; their mean over rollouts is 1/2, the squares 3 * 1/36 + 1/4 = 1/3, so the std is 1/3.
# Balanced: the weights sum to 4, so b = (2/3 + 2/3)/4 = 1/3 and the sum of w (r-b)^2 = 2/3 (4/9 + 1/9 + 4/9) + 2/9 = 8/9;
# s^2 = 8/9 / 4 * 4/3 = 8/27.
_S = math.sqrt(8 / 27)
BY_HAND = {
    "none": (A, -A, A, -A),
    "ifpo": (OFTEN * A, -OFTEN * A, OFTEN * A, -RARE * A),
    "all": (2 / 3 * A, -2 / 3 * A, 2 / 3 * A, -2 * A),
    "one_sided": (2 / 3 * A, -A, 2 / 3 * A, -A),
    "balanced": (2 / 3 * (2 / 3) / _S, 2 / 3 * (-1 / 3) / _S, 2 / 3 * (2 / 3) / _S, 2 * (-1 / 3) / _S),
    # Weighted rewards 2/3, 0, 2/3, 0.
    "reward": (A, -A, A, -A),
    # Consulting 1, 0, 1: mean 2/3, std sqrt(1/3); the only direct rollout gets 0.
    "within_mode": (1 / math.sqrt(3), -2 / math.sqrt(3), 1 / math.sqrt(3), 0.0),
    "conditional": (A, -A, A, -A),
    "mode_mean": (A + 1 / 2, -A + 1 / 2, A + 1 / 2, -A - 3 / 2),
}


@pytest.mark.parametrize("rebalance", STRATEGIES)
def test_each_strategy_gives_the_numbers_worked_out_by_hand(rebalance: str) -> None:
    assert ifpo(REWARDS, CONSULTED, rebalance) == pytest.approx(BY_HAND[rebalance])


def test_a_rare_success_weighs_more_and_a_rare_failure_as_before() -> None:
    rare_right = ifpo((0.0, 0.0, 1.0, 1.0), CONSULTED, "one_sided")
    assert rare_right == pytest.approx([-A, -A, 2 / 3 * A, 2 * A])


def test_weighting_the_reward_changes_its_mean() -> None:
    # Rewards 1, 1, 0, 1 with weights 2/3 and 2 are 2/3, 2/3, 0, 2: mean 5/6, squares 1/36 + 1/36 + 25/36 + 49/36 = 76/36.
    std = math.sqrt(76 / 36 / 3)
    assert ifpo((1.0, 1.0, 0.0, 1.0), CONSULTED, "reward") == pytest.approx([-1 / 6 / std, -1 / 6 / std, -5 / 6 / std, 7 / 6 / std])


def test_the_default_is_the_published_rule() -> None:
    default = ifpo_advantages(rewards_of(*REWARDS), torch.tensor(CONSULTED), 4, epsilon=0.0)
    assert default.tolist() == pytest.approx(BY_HAND["ifpo"])
    assert (IfpoConfig().rebalance, IfpoConfig().tau, IfpoConfig().min_weight, IfpoConfig().max_weight) == ("ifpo", 0.5, None, None)


def test_the_published_rule_at_tau_1_is_the_one_that_weights_all() -> None:
    assert ifpo(REWARDS, CONSULTED, "ifpo", tau=1.0) == pytest.approx(ifpo(REWARDS, CONSULTED, "all"))


def test_fewer_lookups_are_better_among_the_right_rollouts_alone() -> None:
    # Right with 2, 1 and 0 look-ups: efficiency 1/3, 1/2, 1, mean 11/18, deviations -5/18, -2/18, 7/18, squares 78/324, std sqrt(39/324).
    rewards, lookups = (1.0, 1.0, 1.0, 0.0), torch.tensor([2, 1, 0, 0])
    plain, std = ifpo(rewards, CONSULTED, "none"), math.sqrt(39 / 324)
    pushed = ifpo(rewards, (True, True, False, False), "conditional", lookups=lookups, efficiency_weight=0.2)
    efficiency = (-5 / 18 / std, -2 / 18 / std, 7 / 18 / std, 0.0)
    assert pushed == pytest.approx([a + 0.2 * e for a, e in zip(plain, efficiency, strict=True)])


def test_what_is_right_may_be_given() -> None:
    # Two right rollouts, with one look-up and none: 1/2 and 1, of which the advantages are -1/sqrt(2) and 1/sqrt(2).
    right = torch.tensor([True, False, False, True])
    pushed = ifpo((0.5, 0.5, 0.5, 0.5), CONSULTED, "conditional", correct=right)
    assert pushed == pytest.approx([-0.1 / math.sqrt(2), 0.0, 0.0, 0.1 / math.sqrt(2)])


def test_nobody_is_efficient_where_nobody_is_right() -> None:
    assert ifpo((0.0, 0.0, -1.0, 0.0), CONSULTED, "conditional") == pytest.approx(ifpo((0.0, 0.0, -1.0, 0.0), CONSULTED, "none"))


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
    assert ifpo((1.0, 0.0, 1.0, NAN), CONSULTED, "one_sided") == pytest.approx(ifpo((1.0, 0.0, 1.0, NAN), CONSULTED, "none"))


@pytest.mark.parametrize("rebalance", sorted(STRATEGIES.keys() - {"reward", "conditional"}))
def test_equal_rewards_give_zeros(rebalance: str) -> None:
    advantages = ifpo_advantages(rewards_of(0.7, 0.7, 0.7, 0.7), torch.tensor(CONSULTED), 4, rebalance=rebalance)
    assert advantages.tolist() == pytest.approx([0.0] * 4, abs=1e-9)


def test_the_clip_cuts_what_is_beyond_its_bounds_and_does_not_average_again() -> None:
    # The weights are 0.845 and 1.464.
    assert ifpo(REWARDS, CONSULTED, "ifpo", max_weight=1.2) == pytest.approx([OFTEN * A, -OFTEN * A, OFTEN * A, -1.2 * A])
    assert ifpo(REWARDS, CONSULTED, "ifpo", min_weight=0.9) == pytest.approx([0.9 * A, -0.9 * A, 0.9 * A, -RARE * A])


def test_a_cap_limits_the_weight_of_the_rare_mode_only() -> None:
    assert ifpo((0.0, 0.0, 1.0, 1.0), CONSULTED, "one_sided", max_weight=1.5) == pytest.approx([-A, -A, 2 / 3 * A, 1.5 * A])


def test_weights_count_the_judged_rollouts_of_the_group() -> None:
    # First group: 3 of 4 consulted. Second: one is not judged, so 1 of 3 was direct: v = sqrt(3/2) twice and sqrt(3) once.
    rewards, modes = rewards_of(0, 0, 0, 0, NAN, 0, 0, 0), torch.tensor([True, True, True, False, False, True, True, False])
    mean = (2 * math.sqrt(3 / 2) + math.sqrt(3)) / 3
    weights = mode_weights(rewards, modes, 4)
    assert weights[:4].tolist() == pytest.approx([OFTEN, OFTEN, OFTEN, RARE])
    assert weights[5:].tolist() == pytest.approx([math.sqrt(3 / 2) / mean, math.sqrt(3 / 2) / mean, math.sqrt(3) / mean])


def test_the_weights_of_a_group_sum_to_its_judged_size() -> None:
    weights = mode_weights(rewards_of(*REWARDS), torch.tensor(CONSULTED), 4)
    assert float(weights.sum()) == pytest.approx(4.0)


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
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"rebalance": "positive"}, "'positive'; expected one of ifpo, none"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"max_weight": 0.5}, "max_weight is 0.5; expected at least 1"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"max_weight": NAN}, "max_weight is nan"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"min_weight": 1.5}, "min_weight is 1.5; expected 0 to 1"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"tau": -0.5}, "tau is -0.5; expected a number of at least 0"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"tau": NAN}, "tau is nan"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"lookups": torch.zeros(3)}, "rewards and lookups of one shape"),
        (torch.zeros(4), torch.zeros(4, dtype=torch.bool), 4, {"correct": torch.zeros(5)}, "rewards and correct of one shape"),
    ],
)
def test_what_does_not_fit_is_refused(rewards: Tensor, consulted: Tensor, group_size: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ifpo_advantages(rewards, consulted, group_size, **options)
