"""LoRA in SFT and IFPO: what is trained, what is published, and that an interruption leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ascl_core.generation.load import load_model
from tests.training.conftest import CPU, SFT, World, stop_once_at, weights_of

pytestmark = pytest.mark.filterwarnings("ignore")
LORA = {"rank": 8, "alpha": 16}


def test_the_published_model_is_whole_with_the_matrices_merged(world: World, tmp_path: Path) -> None:
    lines = world.sft(tmp_path, lora=LORA, max_steps=12, learning_rate=2e-2)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"], "it learns"
    assert not list((tmp_path / "model").glob("adapter*"))
    before, after = load_file(world.root / "base/model.safetensors"), weights_of(tmp_path)
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {name for name in before if name.endswith("_proj.weight")}, "linear layers, and neither embedding nor norms"
    for name in changed:
        singular = torch.linalg.svdvals(after[name] - before[name])
        assert singular[LORA["rank"] :].max() < 1e-4 * singular[0], "of low rank"
    load_model(tmp_path / "model", CPU)


def test_only_the_modules_that_are_named_are_trained(world: World, tmp_path: Path) -> None:
    world.sft(tmp_path, lora={**LORA, "target_modules": ["q_proj"]}, learning_rate=2e-2)
    before, after = load_file(world.root / "base/model.safetensors"), weights_of(tmp_path)
    assert {name.split(".")[-2] for name in before if not before[name].equal(after[name])} == {"q_proj"}


@pytest.mark.parametrize("stage", ["sft", "ifpo"])
def test_an_interrupted_run_resumes_to_the_same_bits(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    straight, resumed, run = tmp_path / "straight", tmp_path / "resumed", getattr(world, stage)
    wanted = run(straight, lora=LORA, max_steps=4)
    with stop_once_at(3, monkeypatch) as logged:
        run(resumed, lora=LORA, max_steps=4)
    assert run(resumed, lora=LORA, max_steps=4) == wanted
    assert logged[3] == SFT["save_steps"] + 1, "it went on from the last save"
    before, after = weights_of(straight), weights_of(resumed)
    assert all(before[name].equal(after[name]) for name in before)


def test_ifpo_starts_from_the_published_model_and_moves_it(world: World, tmp_path: Path) -> None:
    world.ifpo(tmp_path, lora=LORA, learning_rate=5e-3)
    before, after = weights_of(world.root / "taught"), weights_of(tmp_path)
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)
