"""The claim of the design, in the two-mode bandit: `positive` holds back the drift that plain GRPO shows."""

from __future__ import annotations

import dataclasses

import pytest

from ascl_core.rl.advantages import STRATEGIES
from ascl_core.rl.bandit import BanditConfig, final_consult_rates

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


def test_positive_holds_the_drift_back_and_consults_where_it_pays(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(benign <= 0.72 and harmful >= 0.93 for benign, harmful in rates["positive"])


def test_weighting_every_advantage_speeds_the_drift_up(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(weighted[0] > plain[0] for weighted, plain in zip(rates["all"], rates["none"], strict=True))


def test_weighting_the_reward_stops_consulting_where_it_pays(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(harmful < 0.8 for _, harmful in rates["reward"])


def test_a_baseline_for_each_mode_pushes_nowhere(rates: dict[str, list[tuple[float, float]]]) -> None:
    for benign, harmful in rates["within_mode"]:
        assert (benign, harmful) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.8, abs=0.02))


def test_balancing_the_baseline_helps_little(rates: dict[str, list[tuple[float, float]]]) -> None:
    assert all(rates["positive"][i][0] < rates["balanced"][i][0] < rates["none"][i][0] for i in SEEDS)


def test_a_seed_decides_everything() -> None:
    assert final_consult_rates("positive", 3) == final_consult_rates("positive", 3)
    assert final_consult_rates("positive", 3) != final_consult_rates("positive", 4)


def test_without_a_step_nothing_moves() -> None:
    config = dataclasses.replace(BanditConfig(), steps=0)
    assert final_consult_rates("none", 0, config) == (pytest.approx(0.5), pytest.approx(0.8))
