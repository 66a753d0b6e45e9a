"""The first step of a training: its gradient, its advantages and its log, by one process or by several that train together.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.training.one_step WORLD FOLDER

leaves what each process saw in FOLDER/RANK.pt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from ascl_core.rl.trainer import IfpoTrainer
from ascl_core.sft.callbacks import TrainingLog
from tests.training.conftest import World

STEP: dict[str, dict[str, Any]] = {
    "sft": {"max_steps": 1, "batch_size": 8, "micro_batch_size": 2},
    "ifpo": {"max_steps": 1, "prompts_per_step": 3, "group_size": 4, "micro_batch_size": 3, "rebalance": "all"},
}
"""Twelve rollouts in three groups: two processes have six each, so that the second group is divided between them."""
_LISTS = (0, 1, 2, 3)
"""What `_generate` returns by rollout: prompt ids, completion ids, tool mask and messages."""


def record(world: World, out: Path, stage: str, rollouts: Path | None = None, **changes: Any) -> dict[str, Any]:
    """What this process sees of the step.

    `rollouts` is a file: where it is there, its share of them is taken and nothing is sampled; else what is sampled is left in it.
    """
    seen: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        _keep_gradient(patch, seen)
        _keep_advantages(patch, seen)
        if rollouts is not None:
            _keep_rollouts(patch, rollouts)
        _keep_log(patch, seen)
        getattr(world, stage)(out, **STEP[stage] | changes)
    return seen


def _keep_gradient(patch: pytest.MonkeyPatch, seen: dict[str, Any]) -> None:
    clip = Accelerator.clip_grad_norm_

    def keep(self: Any, parameters: Any, *arguments: Any) -> Any:
        parameters = list(parameters)
        seen["gradient"] = torch.cat([parameter.grad.flatten() for parameter in parameters])
        return clip(self, parameters, *arguments)

    patch.setattr(Accelerator, "clip_grad_norm_", keep)


def _keep_advantages(patch: pytest.MonkeyPatch, seen: dict[str, Any]) -> None:
    rebalanced = IfpoTrainer._rebalanced

    def keep(self: Any, *arguments: Any) -> torch.Tensor:
        seen["advantages"] = rebalanced(self, *arguments)
        return seen["advantages"]

    patch.setattr(IfpoTrainer, "_rebalanced", keep)


def _keep_log(patch: pytest.MonkeyPatch, seen: dict[str, Any]) -> None:
    on_log = TrainingLog.on_log

    def keep(self: Any, *arguments: Any, **named: Any) -> None:
        on_log(self, *arguments, **named)
        seen["log"] = {name: value for name, value in self.lines[1].items() if name != "step_time"}

    patch.setattr(TrainingLog, "on_log", keep)


def _keep_rollouts(patch: pytest.MonkeyPatch, file: Path) -> None:
    generate = IfpoTrainer._generate

    def replay(self: Any, prompts: list[Any]) -> Any:
        if not file.exists():
            sampled = generate(self, prompts)
            torch.save({"prompts": prompts, "sampled": sampled}, file)
            return sampled
        kept = torch.load(file, weights_only=False)
        first = self.accelerator.process_index * len(prompts)
        share = slice(first, first + len(prompts))
        assert kept["prompts"][share] == prompts, "the processes have one after the other what one process has"
        return tuple(part[share] if i in _LISTS else part for i, part in enumerate(kept["sampled"]))

    patch.setattr(IfpoTrainer, "_generate", replay)


def main(root: str, folder: str) -> None:
    """Both stages, one after the other, in this process and its peers; all of them write to the same folders."""
    rank = os.environ["RANK"]
    out = Path(folder)
    seen = {stage: record(World(Path(root)), out / f"{stage}-of-two", stage, out / "rollouts.pt") for stage in STEP}
    torch.save(seen, out / f"{rank}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
