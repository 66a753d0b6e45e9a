"""What goes wrong silently in IFPO: its rollouts get what they deserve, it is counted with its reason, and said aloud."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ascl_core.artifacts import read_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.conversation.template import END_THINK
from ascl_core.errors import JudgeError, TrainingError
from ascl_core.generation.load import load_tokenizer
from ascl_core.rl import train
from ascl_core.rl.alarms import SILENT_STEPS
from ascl_core.sft.callbacks import last_checkpoint
from tests.chat_server import FULL, Server, completion
from tests.training.conftest import World, weights_of
from tests.training.one_step import record

pytestmark = pytest.mark.filterwarnings("ignore")


def judge(server: Server) -> dict[str, Any]:
    """The configuration of the judge at that server, all of whose verdicts may be unknown."""
    return {"name": "openai", "model": "m", "base_url": server.url, "timeout_s": 1.0, "cache": None, "max_unknown": 1.0}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings of the alarms."""
    return [found.message for found in caplog.records if found.name == "ascl_core.rl.alarms"]


def taught(world: World) -> dict[str, torch.Tensor]:
    """The weights that IFPO starts from."""
    return weights_of(world.root / "taught")


@pytest.mark.parametrize("how", ["unreadable", "late"])
def test_a_judge_that_says_nothing_moves_no_weight_and_is_alarmed(
    world: World, tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    server.answer(completion("I would rather not say.") if how == "unreadable" else server.hang)
    seen = record(world, tmp_path, "ifpo", judge=judge(server))
    assert seen["advantages"].eq(0).all()
    assert seen["log"]["not_judged"] == seen["log"]["valid_rate"] > 0.2
    assert seen["log"].get("reward/mean", 0.0) == 0.0, "only what is invalid has a reward"
    before, after = taught(world), weights_of(tmp_path)
    assert all(before[name].equal(after[name]) for name in before)
    assert any("step 1: the judge gave no verdict on any of the valid rollouts" in text for text in said(caplog))
    assert read_json(tmp_path / "metrics.json")["alarms/silent_judge"] == 1


def test_more_unknown_verdicts_than_may_be_publish_nothing(world: World, tmp_path: Path, server: Server) -> None:
    server.answer(completion("I would rather not say."))
    for _ in range(2):  # run again, nothing is left to train, and so nothing to judge
        with pytest.raises(JudgeError, match=r"(\d+) of \1 responses have no verdict, more than the 10 % that may have none"):
            world.ifpo(tmp_path, max_steps=1, judge=judge(server) | {"max_unknown": 0.1})
        assert not (tmp_path / "model").exists()


def test_a_judge_that_stays_silent_ends_training_which_goes_on_once_it_speaks(world: World, tmp_path: Path, server: Server) -> None:
    steps = {"max_steps": 4, "save_steps": 1, "prompts_per_step": 2, "judge": judge(server)}
    server.answer(completion("No comment."))
    with pytest.raises(TrainingError, match=f"no verdict for {SILENT_STEPS} steps, up to step 3") as caught:
        world.ifpo(tmp_path, **steps)
    assert (caught.value.field, caught.value.value) == ("ifpo.judge", f"openai@2:m@{server.url[7:-3]}")
    assert not (tmp_path / "model").exists()
    assert last_checkpoint(tmp_path / "state") == str(tmp_path / "state/checkpoint-2")
    server.script[:] = []
    server.answer(completion(FULL))
    lines = world.ifpo(tmp_path, **steps)
    assert [line["not_judged"] > 0 for line in lines] == [True, True, False, False]
    assert read_json(tmp_path / "metrics.json")["alarms/silent_judge"] == 2, "what was alarmed before the end is remembered"


def test_groups_of_one_mode_are_counted_and_weighed_as_without_rebalancing(world: World, tmp_path: Path) -> None:
    steps = {"rebalance": "all", "max_steps": 1}
    [line] = world.ifpo(tmp_path / "rebalanced", conversation=ConversationConfig(max_tool_calls=0), **steps)
    assert line["groups/one_mode"] == 1.0
    assert (line["weights/mean"], line["weights/max"]) == (1.0, 1.0)
    [plain] = world.ifpo(tmp_path / "plain", conversation=ConversationConfig(max_tool_calls=0), **steps | {"rebalance": "none"})
    assert plain["grad_norm"] == line["grad_norm"]


def test_consultations_that_come_to_nothing_are_alarmed(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    [line] = world.ifpo(tmp_path, conversation=ConversationConfig(max_tool_calls=0), max_steps=1)
    assert (line["consult_rate"], line["consult/completed"]) == (0, 0)
    assert line["consult/attempted"] > 0.1
    assert any("0.00 completed: malformed calls, or results that do not fit" in text for text in said(caplog))
    assert read_json(tmp_path / "metrics.json")["alarms/lost_consultations"] == 1


def test_a_tool_result_over_the_budget_makes_its_rollout_invalid(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(train, "check_budget", lambda *_: None)  # it refuses this budget before training
    [line] = world.ifpo(tmp_path, max_steps=1, max_completion_length=100)
    assert line["consult/attempted"] > line["consult/completed"]
    assert line["invalid/a tool call was never answered"] > 0
    assert line["valid_rate"] < 1
    assert sum(share for name, share in line.items() if name.startswith("invalid/")) == pytest.approx(1 - line["valid_rate"])
    assert any("results that do not fit" in text for text in said(caplog))


@pytest.fixture
def endless(world: World, tmp_path: Path) -> Path:
    """The taught model, unable to write the end of its thinking."""
    shutil.copytree(world.root / "taught/model", tmp_path / "endless")
    weights = load_file(tmp_path / "endless/model.safetensors")
    weights["model.embed_tokens.weight"][load_tokenizer(tmp_path / "endless").convert_tokens_to_ids(END_THINK)] = 0
    save_file(weights, tmp_path / "endless/model.safetensors", metadata={"format": "pt"})
    return tmp_path / "endless"


def test_rollouts_that_never_close_their_thinking_get_the_reward_of_invalid_ones(
    world: World, tmp_path: Path, endless: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [line] = world.ifpo(tmp_path, start=endless, max_steps=1)
    assert (line["valid_rate"], line["reward/mean"], line["grad_norm"]) == (0, 0, 0)
    reasons = {name.removeprefix("invalid/"): share for name, share in line.items() if name.startswith("invalid/")}
    assert set(reasons) <= {"a think block is not closed", "not finished within the token budget"}
    assert sum(reasons.values()) == pytest.approx(1)
    assert any("step 1: no rollout is valid, so nothing can be learned: a think block is not closed" in text for text in said(caplog))
    assert read_json(tmp_path / "metrics.json")["alarms/nothing_valid"] == 1
