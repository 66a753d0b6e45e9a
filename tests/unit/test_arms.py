"""The table of arms: every row can be trained as it says, and has the name that the report shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.arms import ARMS, BASELINE, CANDIDATE, Arm, arms_that_run, get_arm, label_of, page
from ascl_core.config.params import Params, merge
from ascl_core.errors import ConfigError
from tasks.registry.stages import EVALUATE


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_an_arm_names_an_evaluated_stage_and_parameters_that_there_are(arm: object) -> None:
    assert arm.stage in EVALUATE
    assert arm.start is None or get_arm(arm.start).stage in EVALUATE
    merged = Params.model_validate(merge(Params().model_dump(mode="json"), arm.values)).model_dump(mode="json")
    assert merge(merged, arm.values) == merged


def test_names_are_unique_and_those_that_others_refer_to_exist() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS) == len({arm.label for arm in ARMS})
    assert {get_arm(name).name for name in (CANDIDATE, BASELINE)} == {"ifpo", "grpo"}
    with pytest.raises(ConfigError, match="did you mean 'grpo'"):
        get_arm("grop")


def test_an_arm_that_needs_what_is_not_available_is_left_out() -> None:
    def left_out(*available: str) -> set[str]:
        return {arm.name for arm in ARMS} - {arm.name for arm in arms_that_run(available)}

    assert left_out() == {arm.name for arm in ARMS if arm.needs}
    assert left_out("instruct_model", "star1") == {"star1_mix", "safechain"}
    assert left_out("instruct_model", "star1", "star1_benign", "safechain") == set()


def test_a_checkpoint_is_labelled_by_the_parameters_it_was_trained_with() -> None:
    assert label_of("ifpo", {"rebalance": "none", "max_steps": 60}) == get_arm("grpo").label
    assert label_of("ifpo", {"rebalance": "ifpo"}) == label_of("ifpo", {}) == get_arm("ifpo").label
    assert label_of("sft", {"max_steps": 3}) == get_arm("sft").label
    assert label_of("sft", {"arm": "star1", "max_steps": 3}) == get_arm("star1").label
    assert label_of("sft", {"arm": "safechain", "epochs": None}) == get_arm("safechain").label
    assert label_of("another_stage", {}) == "another stage"


@pytest.mark.parametrize("arm", [arm for arm in ARMS if "conversation" not in arm.values], ids=lambda arm: arm.name)
def test_every_arm_that_trains_has_its_own_label_from_its_own_parameters(arm: Arm) -> None:
    trained_with = merge(Params().model_dump(mode="json"), arm.values)
    assert label_of(arm.stage, trained_with.get(arm.stage, {}), trained_with["sft"]) == arm.label


def test_the_page_is_that_of_the_table() -> None:
    assert (Path(__file__).parents[2] / "docs/arms.md").read_text(encoding="utf-8") == page(), "run: ascl arms docs"
