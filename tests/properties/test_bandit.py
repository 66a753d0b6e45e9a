"""What decision 0002 says of the two-mode bandit: the published rule drifts as GRPO does, `one_sided` is slower."""

from __future__ import annotations

import dataclasses

import pytest

from ascl_core.config.ifpo import STRATEGIES
from benchmarks.bandit import BanditConfig, final_consult_rates, push_ratio

SEEDS = range(5)


@pytest.fixture(scope="module")
def rates() -> dict[str, list[tuple[float, float]]]:
    """The consult rates (benign, harmful) of every strategy after 400 steps from .50 and .80, for each seed."""
    return {name: [final_consult_rates(name, seed) for seed in SEEDS] for name in STRATEGIES}


def test_the_bandit_is_the_one_of_the_claim() -> None:
    config = BanditConfig()
    assert (config.benign_start, config.harmful_start, config.steps, config.shared) == (0.5, 0.8, 400, 0.7)
    assert (config.harmful_pay, config.benign_pay) == ((0.60, 0.95), (0.90, 0.90))


def test_plain_grpo_drifts_to_consulting_on_benign_prompts(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(benign >= 0.85 and harmful >= 0.93 for benign, harmful in rates["none"])


def test_the_published_rule_does_not_hold_the_drift_back(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(ifpo[0] >= plain[0] and ifpo[1] >= 0.93 for ifpo, plain in zip(rates["ifpo"], rates["none"], strict=True))


@pytest.mark.parametrize(("share", "ratio"), [(0.8, 1.5), (0.9, 7 / 3), (0.5, 1.0)])
def test_the_published_rule_pushes_in_the_direction_of_grpo_and_harder(share: float, ratio: float) -> None:
    # At 0.9: v = 1.054 and 3.162 with the mean 1.265, w = 0.833 and 2.5, and 0.833 * 0.1 + 2.5 * 0.9 = 2.333.
    assert push_ratio(share, 0.5) == pytest.approx(ratio)
    assert push_ratio(share, 0.0) == pytest.approx(1.0)


def test_one_sided_holds_the_drift_back_and_consults_where_it_pays(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(benign <= 0.72 and harmful >= 0.93 for benign, harmful in rates["one_sided"])


def test_weighting_every_advantage_speeds_the_drift_up(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(weighted[0] > plain[0] for weighted, plain in zip(rates["all"], rates["none"], strict=True))


def test_weighting_the_reward_stops_consulting_where_it_pays(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(harmful < 0.8 for _, harmful in rates["reward"])


def test_a_baseline_for_each_mode_pushes_nowhere(rates: dict[str, list[tuple[float, float]]]) -> None:
    for benign, harmful in rates["within_mode"]:
        assert (benign, harmful) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.8, abs=0.02))


def test_balancing_the_baseline_helps_little(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(rates["one_sided"][i][0] < rates["balanced"][i][0] < rates["none"][i][0] for i in SEEDS)


def test_a_seed_decides_everything() -> None:
    assert final_consult_rates("one_sided", 3) == final_consult_rates("one_sided", 3)
    assert final_consult_rates("one_sided", 3) != final_consult_rates("one_sided", 4)


def test_without_a_step_nothing_moves() -> None:
    config = dataclasses.replace(BanditConfig(), steps=0)
    assert final_consult_rates("none", 0, config) == (pytest.approx(0.5), pytest.approx(0.8))
