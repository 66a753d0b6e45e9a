"""Shared by every trainer: the log of its steps, its progress, and its resumption."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from ascl_core.contracts import StageContext
from ascl_core.sft.safeguards import check_figures

_SKIPPED = frozenset({"epoch", "train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss"})
_SAVED = (("*.safetensors", "pytorch_model_fsdp*", "global_step*"), ("optimizer.pt", "optimizer_*", "global_step*"))
"""Contents of a complete save: weights, and the optimizer's state; each under one of these names."""


class TrainingLog(TrainerCallback):
    """Collects one line a step, reports progress, and stops a run whose loss is no longer a number.

    The lines survive a kill: they are kept in the trainer's state, which every checkpoint holds.
    """

    def __init__(self, stage: str, config: Mapping[str, Any], max_steps: int, context: StageContext) -> None:
        self.stage = stage
        self.header: dict[str, Any] = {"stage": stage, "config": dict(config)}
        self.max_steps = max_steps
        self.context = context
        self.steps: dict[int, dict[str, Any]] = {}

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The header, then the steps in order."""
        return [self.header, *(self.steps[step] for step in sorted(self.steps))]

    @staticmethod
    def quieten(trainer: Any) -> None:
        """Stop the printing of every step: the log and the progress bar show it."""
        from transformers import PrinterCallback

        trainer.remove_callback(PrinterCallback)

    def last(self, name: str) -> float | None:
        """Return the value of the last step that logged it."""
        return next((line[name] for _, line in sorted(self.steps.items(), reverse=True) if name in line), None)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Load the lines of the run that is resumed; `NothingLeft` where it was killed after its last step."""
        for entry in state.log_history:
            self._take(entry)
        if state.global_step >= self.max_steps:
            raise NothingLeft

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Keep the step's figures; a loss or a gradient that is not a number ends the run."""
        line = self._take({**(logs or {}), "step": state.global_step})
        check_figures(line)
        note = " ".join(f"{name} {line[name]:.3f}" for name in ("loss", "reward/mean", "consult_rate") if name in line)
        self.context.progress.update(self.stage, state.global_step, self.max_steps, note)

    def _take(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        figures = {k: float(v) for k, v in entry.items() if k not in _SKIPPED and k != "step" and isinstance(v, int | float)}
        step = int(entry.get("step", 0))
        if figures:
            self.steps.setdefault(step, {"step": step}).update(figures)
        return {"step": step, **figures}


class NothingLeft(Exception):
    """The save that training resumes from is that of the last step; the trainer would take one more."""


def train(trainer: Any, state: Path) -> None:
    """Train to the last step, from the newest save under `state`; whether it was interrupted leaves no trace in the weights."""
    with contextlib.suppress(NothingLeft):
        trainer.train(resume_from_checkpoint=last_checkpoint(state))


def last_checkpoint(folder: Path) -> str | None:
    """Return the newest complete checkpoint under the folder; one that a kill left half-written is skipped.

    A trainer that shards writes weights and optimizer into folders (FSDP), or both into one (`global_step…`, DeepSpeed).
    """
    if not folder.is_dir():
        return None
    for path in sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text())
            if all(any(found for pattern in patterns for found in path.glob(pattern)) for patterns in _SAVED):
                return str(path)
        except (OSError, ValueError):
            continue
    return None
