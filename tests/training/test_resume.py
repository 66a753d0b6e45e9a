"""Wherever a training dies, the next run ends with the bits of one that did not: also in later epochs, and after several deaths."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import World, stop_once_at, weights_of

pytestmark = pytest.mark.filterwarnings("ignore")
STEPS: dict[str, dict[str, Any]] = {
    "sft": {"max_steps": 20, "save_steps": 3},
    "sft with a rest": {"max_steps": 20, "save_steps": 3, "batch_size": 10, "micro_batch_size": 5},
    "ifpo": {"max_steps": 9, "save_steps": 3, "prompts_per_step": 3, "group_size": 2, "micro_batch_size": 3, "max_completion_length": 180},
}
"""Three epochs and more of SFT, with saves amid an epoch, also where 48 rows are no whole batches; most prompts of IFPO come again."""
DEATHS = {
    "sft": sorted(random.Random(5).sample(range(7, 21), 3)),
    "sft with a rest": [9, 19],
    "ifpo": sorted(random.Random(1).sample(range(4, 10), 2)),
}
"""Most are drawn at random, all after the first epoch of SFT and after the first save of IFPO."""


@pytest.mark.parametrize("stage", STEPS)
def test_deaths_at_random_steps_leave_no_trace(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    run, steps, out = getattr(world, stage.split()[0]), STEPS[stage], tmp_path / "resumed"
    wanted = run(tmp_path / "straight", **steps)
    saved = 0
    for death in DEATHS[stage]:
        with monkeypatch.context() as patch, stop_once_at(death, patch) as logged:
            run(out, **steps)
        assert logged == list(range(saved + 1, death + 1)), "it went on from the last save before the death"
        saved = (death - 1) // steps["save_steps"] * steps["save_steps"]
    assert run(out, **steps) == wanted
    straight, resumed = weights_of(tmp_path / "straight"), weights_of(out)
    assert all(straight[name].equal(resumed[name]) for name in straight)
