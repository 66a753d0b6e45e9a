"""The paper's claims: the side of the interval decides, and an arm that is missing makes a claim untestable, never refuted."""

from __future__ import annotations

import pytest

from ascl_core.arms import ARMS
from ascl_core.contracts import EvaluatedRollout
from ascl_core.report.paper_claims import CLAIMS, Verdict, examine
from ascl_core.vocabulary import Mode, PromptType
from tests.builders import make_result


def rows(consulting: int, prompts: int = 40) -> dict[int, list[EvaluatedRollout]]:
    """Two seeds of harmful prompts of which so many are consulted on."""
    made = [
        make_result(prompt_id=f"{i}", prompt_type=PromptType.HARMFUL, mode=Mode.CONSULT if i < consulting else Mode.DIRECT)
        for i in range(prompts)
    ]
    return {0: made, 1: made}


def verdict(name: str, **arms: int) -> tuple[Verdict, str]:
    found = next(f for f in examine({arm: rows(consulting) for arm, consulting in arms.items()}) if f.claim.name == name)
    return found.verdict, found.why


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


def test_not_less_allows_the_margin_and_no_more() -> None:
    claim = next(claim for claim in CLAIMS if claim.name == "ifpo_is_as_safe")
    same = examine({"ifpo": rows(0), "grpo": rows(0)})
    assert next(f.verdict for f in same if f.claim is claim) is Verdict.REPRODUCED
    assert claim.margin == pytest.approx(0.01)


def test_every_claim_compares_arms_that_the_table_has() -> None:
    known = {arm.name for arm in ARMS}
    without_data = {"star1", "safechain"}  # their data sets are not in this repository
    assert {name for claim in CLAIMS for name in (claim.ours, claim.theirs)} <= known | without_data
