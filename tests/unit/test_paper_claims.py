"""The paper's claims: the side of the interval decides, and an arm that is missing makes a claim untestable, never refuted."""

from __future__ import annotations

from typing import Any

import pytest

from ascl_core.arms import ARMS
from ascl_core.contracts import EvaluatedRollout
from ascl_core.report.paper_claims import CLAIMS, Finding, Verdict, examine
from ascl_core.report.seeded_arms import SeededArm
from ascl_core.vocabulary import Harm, Mode, PromptType
from tests.builders import make_result


def rows(consulting: int, prompts: int = 40) -> dict[int, list[EvaluatedRollout]]:
    """Two seeds of harmful prompts of which so many are consulted on."""
    made = [
        make_result(prompt_id=f"{i}", prompt_type=PromptType.HARMFUL, mode=Mode.CONSULT if i < consulting else Mode.DIRECT)
        for i in range(prompts)
    ]
    return {0: made, 1: made}


def found(name: str, **arms: dict[str, Any]) -> Finding:
    """What is found of a claim, with the fields of each arm."""
    return next(f for f in examine([SeededArm(arm, arm, **fields) for arm, fields in arms.items()]) if f.claim.name == name)


def verdict(name: str, **arms: int) -> tuple[Verdict, str]:
    """The same of arms that consult so often."""
    finding = found(name, **{arm: {"rows": rows(consulting)} for arm, consulting in arms.items()})
    return finding.verdict, finding.why


def test_a_difference_on_the_papers_side_is_a_reproduction() -> None:
    assert verdict("grpo_drifts", sft=10, grpo=35) == (Verdict.REPRODUCED, "")
    assert verdict("ifpo_drifts_less", ifpo=10, grpo=35) == (Verdict.REPRODUCED, "")


def test_the_other_side_and_an_interval_with_0_are_none_and_say_which() -> None:
    assert verdict("grpo_drifts", sft=35, grpo=10) == (Verdict.NOT_REPRODUCED, "the difference goes the other way")
    assert verdict("ifpo_drifts_less", ifpo=35, grpo=10) == (Verdict.NOT_REPRODUCED, "the difference goes the other way")
    assert verdict("grpo_drifts", sft=20, grpo=20) == (Verdict.NOT_REPRODUCED, "the interval holds 0")


def test_without_an_arm_or_its_prompts_nothing_is_said_of_a_claim() -> None:
    assert verdict("grpo_drifts", sft=10) == (Verdict.NOT_TESTABLE, "not compared: grpo")
    assert verdict("ifpo_spares_utility", ifpo=1, grpo=9) == (Verdict.NOT_TESTABLE, "no response of this kind in both arms")


def test_a_margin_allows_what_it_says_and_no_more() -> None:
    claim = next(claim for claim in CLAIMS if claim.name == "ifpo_is_as_safe")
    assert verdict(claim.name, ifpo=0, grpo=0)[0] is Verdict.REPRODUCED
    assert claim.margin == pytest.approx(0.01)
    assert verdict("ifpo_keeps_consulting", ifpo=20, sft=20)[0] is Verdict.REPRODUCED
    assert verdict("ifpo_keeps_consulting", ifpo=19, sft=20) == (Verdict.NOT_REPRODUCED, "the interval reaches beyond the margin")
    for ifpo in (10, 30):
        assert verdict("ifpo_keeps_consulting", ifpo=ifpo, sft=20) == (Verdict.NOT_REPRODUCED, "the difference exceeds the margin")


def in_suites(safe: int) -> dict[int, list[EvaluatedRollout]]:
    """Harmful prompts of a large suite that are all answered safely, and of a small one of which that many are."""
    harms = {"large": [Harm.UNHARMFUL] * 90, "small": [Harm.UNHARMFUL] * safe + [Harm.HARMFUL] * (10 - safe)}
    return {
        0: [
            make_result(suite=suite, prompt_id=f"{suite}{i}", prompt_type=PromptType.HARMFUL, harm=harm)
            for suite, of_suite in harms.items()
            for i, harm in enumerate(of_suite)
        ]
    }


def test_safety_is_a_mean_over_suites_and_not_over_prompts() -> None:
    finding = found("rl_is_safer", ifpo={"rows": in_suites(8)}, sft={"rows": in_suites(2)})
    assert finding.difference is not None
    assert finding.difference.value == pytest.approx(0.6 / 2), "6 of 100 prompts, 60 points of one of two suites"
    pooled = {claim.name for claim in CLAIMS if claim.measure in ("safety_rate", "over_refusal_strict", "utility")}
    assert not pooled


def logs(*rates: float, steps: int = 60) -> dict[str, Any]:
    """Logs of one seed for each rate, which the consult rate on borderline prompts has from step 41 on."""
    return {
        "steps": {
            seed: [{"step": step, "consult_rate/borderline": rate if step > 40 else 0.6} for step in range(1, steps + 1)]
            for seed, rate in enumerate(rates)
        }
    }


def test_a_claim_on_the_training_log_reads_the_steps_before_50_of_every_seed() -> None:
    name = "a_penalty_ends_consulting"
    finding = found(name, grpo_penalty=logs(0.0, 0.03125))
    assert finding.verdict is Verdict.REPRODUCED
    assert finding.to_json()["rate"] == {"value": 0.015625, "low": 0.0, "high": 0.03125, "n": 2, "by_seed": (0.0, 0.03125)}
    assert found(name, grpo_penalty=logs(0.0, 0.3)).why == "a seed is above the threshold"
    assert found(name, grpo_penalty=logs(0.3, 0.3)).why == "every seed is above the threshold", "lower than before is not enough"


def test_a_run_that_does_not_reach_the_step_says_no_data() -> None:
    for fields in (logs(0.0, steps=49), {"steps": {**logs(0.0)["steps"], 1: logs(0.0, steps=49)["steps"][0]}}, {}):
        finding = found("a_penalty_ends_consulting", grpo_penalty=fields)
        assert finding.verdict is Verdict.NOT_TESTABLE
        assert finding.why == "no data: not every training log reaches step 50"
    assert found("a_penalty_ends_consulting").why == "not compared: grpo_penalty"


def test_every_claim_compares_arms_that_the_table_has_and_is_listed_once() -> None:
    known = {arm.name for arm in ARMS}
    assert {name for claim in CLAIMS for name in (claim.ours, claim.theirs) if name} <= known
    assert len({(claim.ours, claim.theirs, claim.measure, claim.side) for claim in CLAIMS}) == len(CLAIMS)
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
