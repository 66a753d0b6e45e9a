"""What ends a training before it does harm: nothing is written of it, its last save stays, and the next run goes on from there."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ascl_core.artifacts import read_json, read_jsonl
from ascl_core.errors import TrainingError
from ascl_core.rl.trainer import IfpoTrainer
from ascl_core.sft.callbacks import last_checkpoint
from ascl_core.sft.safeguards import BATCH_FILE
from ascl_core.sft.trainer import AssistantLossTrainer
from tests.training.conftest import World, weights_of

pytestmark = pytest.mark.filterwarnings("ignore")
STEPS: dict[str, Any] = {"max_steps": 4, "save_steps": 1}
Spoil = Callable[[torch.Tensor, Any], torch.Tensor]
"""A loss made of a loss and the model."""


def _infinite_gradient(loss: torch.Tensor, model: Any) -> torch.Tensor:
    zero = next(model.parameters()).sum() * 0
    return loss + zero.sqrt()  # 0, but its derivative is infinite


SPOILT: dict[str, tuple[Spoil, str]] = {
    "nan": (lambda loss, model: loss * math.nan, "the loss is nan"),
    "infinity": (lambda loss, model: loss + math.inf, "the loss is inf"),
    "gradient": (_infinite_gradient, "the norm of the gradient is nan"),
}
TRAINERS = {"sft": (AssistantLossTrainer, "compute_loss"), "ifpo": (IfpoTrainer, "_compute_loss")}


@pytest.mark.parametrize(("stage", "how"), [("sft", "nan"), ("sft", "infinity"), ("sft", "gradient"), ("ifpo", "nan")])
def test_what_is_no_number_ends_training_and_is_never_saved(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, how: str
) -> None:
    run, out = getattr(world, stage), tmp_path / "spoilt"
    spoil, says = SPOILT[how]
    trainer, method = TRAINERS[stage]
    honest = getattr(trainer, method)

    def spoilt(self: Any, model: Any, *rest: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = honest(self, model, *rest, **named)
        return spoil(loss, model) if self.state.global_step == 2 else loss

    monkeypatch.setattr(trainer, method, spoilt)
    with pytest.raises(TrainingError, match=f"{says} at step 3") as caught:
        run(out, **STEPS)
    monkeypatch.setattr(trainer, method, honest)
    assert caught.value.hint
    assert not (out / "model").exists()
    assert last_checkpoint(out / "state") == str(out / "state/checkpoint-2")
    assert not (out / "state/checkpoint-3").exists()
    if how != "nan":  # it left the same behind
        return
    wanted = run(tmp_path / "straight", **STEPS)
    assert run(out, **STEPS) == wanted
    straight, resumed = weights_of(tmp_path / "straight"), weights_of(out)
    assert all(straight[name].equal(resumed[name]) for name in straight)


def test_the_batch_whose_loss_is_no_number_is_kept_to_be_looked_at(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = AssistantLossTrainer.compute_loss
    seen: list[Any] = []

    def spoilt(self: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> torch.Tensor:
        seen.append(inputs["input_ids"])
        return honest(self, model, inputs, *rest, **named) * (math.nan if len(seen) == 4 else 1)

    monkeypatch.setattr(AssistantLossTrainer, "compute_loss", spoilt)
    with pytest.raises(TrainingError, match="at step 2, in micro-batch 2 of 2") as caught:
        world.sft(tmp_path)
    file = tmp_path / "state" / BATCH_FILE
    assert caught.value.file == str(file)
    kept = read_json(file)
    assert (kept["step"], kept["micro_batch"], len(kept["texts"])) == (2, 2, 4)
    asked = [row["messages"][1]["content"] for row in read_jsonl(world.root / "ascl.jsonl")]
    assert all(any(prompt in text for prompt in asked) for text in kept["texts"])
    assert not any("<|endoftext|><|endoftext|>" in text for text in kept["texts"])


def test_the_micro_batch_of_rollouts_is_kept_too(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = IfpoTrainer._compute_loss
    monkeypatch.setattr(IfpoTrainer, "_compute_loss", lambda self, model, inputs: honest(self, model, inputs) * math.nan)
    with pytest.raises(TrainingError, match="at step 1, in micro-batch 1 of 2"):
        world.ifpo(tmp_path)
    asked = [prompt.prompt for prompt in world.prompts]
    texts = read_json(tmp_path / "state" / BATCH_FILE)["texts"]
    assert texts
    assert all(any(prompt in text for prompt in asked) and "<think>" in text for text in texts)
