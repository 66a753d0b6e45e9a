"""SFT: batches ordered by length, TRL's loss and gradient, what is learned, saves, and what ends a run."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import SFTTrainer

from ascl_core.artifacts import read_json, read_jsonl, write_jsonl
from ascl_core.config.base import parse
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.sft import SftConfig
from ascl_core.contracts import StageContext
from ascl_core.conversation.tool import tool_schema
from ascl_core.errors import ConfigError, DataError, ModelError, TrainingError
from ascl_core.generation.load import TOOLS, load_tokenizer
from ascl_core.sft.callbacks import TrainingLog, last_checkpoint
from ascl_core.sft.trainer import AssistantLossTrainer, LengthSortedBatches
from tests.training.conftest import SFT, World, stop_once_at, weights_of

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = 48
"""Trajectories of the world: six batches of eight are an epoch."""


class TestBatches:
    """`LengthSortedBatches`."""

    LENGTHS = (5, 3, 9, 1, 7, 2, 8, 3, 6, 4)

    def test_an_epoch_is_every_row_once_and_each_batch_goes_by_length(self) -> None:
        batches = LengthSortedBatches(self.LENGTHS, batch_size=4, seed=0)
        order = list(batches)
        assert sorted(order) == list(range(len(batches)))
        lengths = [self.LENGTHS[row] for row in order]
        assert [lengths[i : i + 4] for i in (0, 4, 8)] == [sorted(lengths[i : i + 4]) for i in (0, 4, 8)]
        assert lengths != sorted(lengths), "which rows meet stays random"

    def test_the_order_is_a_function_of_seed_and_epoch(self) -> None:
        def order(seed: int, epoch: int) -> list[int]:
            batches = LengthSortedBatches(self.LENGTHS, batch_size=2, seed=seed)
            batches.set_epoch(epoch)
            return list(batches)

        assert order(0, 3) == order(0, 3)
        assert len({tuple(order(seed, epoch)) for seed in (0, 10) for epoch in (0, 1)}) == 4


def test_loss_and_gradient_are_those_of_trls_trainer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gradients: list[torch.Tensor]
) -> None:
    [ours] = world.sft(tmp_path / "ours", max_steps=1)
    monkeypatch.setattr(AssistantLossTrainer, "compute_loss", SFTTrainer.compute_loss)
    [theirs] = world.sft(tmp_path / "theirs", max_steps=1)
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    mine, other = gradients
    assert (mine - other).norm() < 1e-4 * other.norm()


def test_the_loss_does_not_depend_on_how_a_batch_is_cut(world: World, tmp_path: Path) -> None:
    [whole] = world.sft(tmp_path / "whole", max_steps=1, micro_batch_size=8)
    [cut] = world.sft(tmp_path / "cut", max_steps=1, micro_batch_size=2)
    for name in ("loss", "grad_norm"):
        assert cut[name] == pytest.approx(whole[name], rel=1e-4)


def test_a_micro_batch_is_never_larger_than_the_batch(world: World, tmp_path: Path) -> None:
    assert world.sft(tmp_path / "small", max_steps=1, micro_batch_size=8) == world.sft(tmp_path / "large", max_steps=1, micro_batch_size=64)


def test_exactly_what_the_assistant_wrote_is_learned(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    compute_loss = AssistantLossTrainer.compute_loss

    def look(self: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        seen.extend(zip(inputs["input_ids"], inputs["labels"], strict=True))
        return compute_loss(self, model, inputs, *rest, **named)

    monkeypatch.setattr(AssistantLossTrainer, "compute_loss", look)
    world.sft(tmp_path, max_steps=6)
    tokenizer = load_tokenizer(world.root / "base")
    wanted = []
    for row in read_jsonl(world.root / "ascl.jsonl"):
        turns = [message for message in row["messages"] if message["role"] == "assistant"]
        rendered = (tokenizer.apply_chat_template([turn], tokenize=False) for turn in turns)
        wanted.append("".join(text.removeprefix("<|im_start|>assistant\n").removesuffix("\n") for text in rendered))
    assert len(seen) == ROWS
    assert sorted(tokenizer.decode(labels[labels != -100]) for _, labels in seen) == sorted(wanted)
    assert all(bool((ids[labels != -100] == labels[labels != -100]).all()) for ids, labels in seen)


def test_a_run_resumes_to_the_same_bits_within_the_first_epoch(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`test_resume` kills it in later ones."""
    killed_at = 3
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    wanted = world.sft(straight, max_steps=5)
    with stop_once_at(killed_at, monkeypatch) as logged:
        world.sft(resumed, max_steps=5)
    assert world.sft(resumed, max_steps=5) == wanted
    saved = (killed_at - 1) // SFT["save_steps"] * SFT["save_steps"]
    assert logged[killed_at] == saved + 1, "it went on from the last save"
    before, after = weights_of(straight), weights_of(resumed)
    assert all(before[name].equal(after[name]) for name in before)


def test_epochs_are_the_steps_that_their_rows_take_also_after_a_kill(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = world.sft(tmp_path / "steps", max_steps=5)
    with stop_once_at(4, monkeypatch):
        world.sft(tmp_path / "epochs", epochs=0.75)
    assert world.sft(tmp_path / "epochs", epochs=0.75) == wanted, "48 rows in batches of 8: 4.5 steps, rounded up"


def test_a_run_that_was_killed_after_its_last_save_trains_no_further(world: World, tmp_path: Path) -> None:
    before = world.sft(tmp_path)
    assert read_json(tmp_path / "model" / TOOLS) == [tool_schema(ConversationConfig())], "it opens elsewhere as in training"
    weights = (tmp_path / "model/model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "model")
    assert world.sft(tmp_path) == before
    assert (tmp_path / "model/model.safetensors").read_bytes() == weights


class TestSaves:
    """`last_checkpoint`: the newest save that is whole."""

    @staticmethod
    def save(state: Path, step: int) -> Path:
        folder = state / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        for name in ("model.safetensors", "optimizer.pt"):
            (folder / name).write_bytes(b"x")
        (folder / "trainer_state.json").write_text("{}")
        return folder

    def test_the_newest_counts_by_step_and_not_by_name(self, tmp_path: Path) -> None:
        for step in (9, 100, 20):
            self.save(tmp_path, step)
        assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")

    def test_without_a_save_training_starts_at_the_beginning(self, tmp_path: Path) -> None:
        assert last_checkpoint(tmp_path / "nothing") is None
        assert last_checkpoint(tmp_path) is None

    @pytest.mark.parametrize("missing", ["model.safetensors", "optimizer.pt", "trainer_state.json"])
    def test_one_that_lacks_a_file_is_passed_over(self, tmp_path: Path, missing: str) -> None:
        whole, cut = self.save(tmp_path, 2), self.save(tmp_path, 4)
        (cut / missing).unlink()
        assert last_checkpoint(tmp_path) == str(whole)

    def test_one_whose_state_is_cut_off_is_passed_over(self, tmp_path: Path) -> None:
        whole, cut = self.save(tmp_path, 2), self.save(tmp_path, 4)
        (cut / "trainer_state.json").write_text('{"global_step": ')
        assert last_checkpoint(tmp_path) == str(whole)


@pytest.mark.parametrize("arm", ["direct_refusal", "context_distillation"])
def test_the_baselines_train_on_their_own_trajectories(world: World, tmp_path: Path, arm: str) -> None:
    lines = world.sft(tmp_path, trajectories=arm, max_steps=12)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


def test_a_conversation_that_is_too_long_is_an_error_and_never_cut(world: World, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"over sft\.max_length 64") as caught:
        world.sft(tmp_path, max_length=64)
    assert caught.value.file == str(world.root / "ascl.jsonl")
    assert caught.value.field is not None
    line = int(caught.value.field.removeprefix("line "))
    prompt = read_jsonl(world.root / "ascl.jsonl")[line - 1]["messages"][1]["content"]
    assert prompt in str(caught.value.value)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path, loss: float) -> None:
    class State:
        global_step = 7

    log = TrainingLog("sft", {}, 10, StageContext(state=tmp_path))
    with pytest.raises(TrainingError, match="at step 7") as caught:
        log.on_log(None, State(), None, {"loss": loss})
    assert caught.value.hint


def test_a_base_model_that_is_no_model_is_named(world: World, tmp_path: Path) -> None:
    broken = World(tmp_path)
    shutil.copytree(world.root / "base", tmp_path / "base")
    (tmp_path / "base/model.safetensors").write_bytes(b"not weights")
    write_jsonl(tmp_path / "ascl.jsonl", read_jsonl(world.root / "ascl.jsonl")[:8])
    with pytest.raises(ModelError) as caught:
        broken.sft(tmp_path / "out")
    assert caught.value.file == str(tmp_path / "base")


def test_a_batch_that_micro_batches_do_not_fill_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of micro_batch_size") as caught:
        parse(SftConfig, {"batch_size": 10, "micro_batch_size": 4}, file="params.yaml", section="sft")
    assert caught.value.field == "sft"
    assert caught.value.value == {"batch_size": 10, "micro_batch_size": 4}
