"""Checks that end a training at a loss that is no number, or a save that cannot be written.

Both leave the last complete save as it was, so that the next run resumes from there.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from ascl_core.artifacts import write_json
from ascl_core.errors import TrainingError, WorkspaceError
from ascl_core.generation.load import first_line

if TYPE_CHECKING:
    from transformers import Trainer
else:
    Trainer = object

BATCH_FILE = "not-a-number.json"
"""The micro-batch whose loss is no number, beside the saves: step, micro-batch and the texts of its rows."""
_HINT = "lower the learning rate, or fix what the batch holds, and run again: training resumes from its last save"


class Safeguards(Trainer):
    """Mixed into a `Trainer`, ahead of it among the bases."""

    _step_and_micro_batch = (0, 0)
    """The step and its micro-batch that are computed, both counted from 1."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        """Return the loss of a micro-batch; where it is no number, keep the batch in a file and raise before any weight moves."""
        step, before = self.state.global_step + 1, self._step_and_micro_batch
        self._step_and_micro_batch = (step, before[1] + 1 if before[0] == step else 1)
        result: Any = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        loss = float(result[0] if return_outputs else result)
        if not math.isfinite(loss):
            raise self._not_a_number(loss, inputs)
        return result

    def _not_a_number(self, loss: float, inputs: Mapping[str, Any]) -> TrainingError:
        step, micro_batch = self._step_and_micro_batch
        file = Path(str(self.args.output_dir)) / BATCH_FILE
        write_json(file, {"step": step, "micro_batch": micro_batch, "texts": _texts(self.processing_class, inputs)})
        which = f"micro-batch {micro_batch} of {self.args.gradient_accumulation_steps}"
        return TrainingError(f"the loss is {loss} at step {step}, in {which}, which this file holds", file=file, hint=_HINT)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: torch's own writer
            folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
            free = shutil.disk_usage(folder.parent).free / 1e6
            shutil.rmtree(folder, ignore_errors=True)
            raise WorkspaceError(
                f"the save of step {self.state.global_step} cannot be written: {first_line(error, 200)} ({free:.1f} MB are free there)",
                file=folder,
                hint="free some space, or fix the disk, and run again: training resumes from its last save",
            ) from error


def check_figures(line: Mapping[str, Any]) -> None:
    """Raise where the loss or the gradient's norm of a logged step is no number; no save holds that step yet."""
    for name, said in (("loss", "loss"), ("grad_norm", "norm of the gradient")):
        if not math.isfinite(line.get(name, 0.0)):
            raise TrainingError(f"the {said} is {line[name]} at step {line['step']}", hint=_HINT)


def _texts(tokenizer: Any, inputs: Mapping[str, Any]) -> list[str]:
    """Return the texts of a batch, without padding."""
    parts = [name for name in ("input", "prompt", "completion") if f"{name}_ids" in inputs]
    ids = torch.cat([inputs[f"{name}_ids"] for name in parts], dim=1)
    mask = torch.cat([inputs["attention_mask" if name == "input" else f"{name}_mask"] for name in parts], dim=1)
    return [tokenizer.decode(row[there.bool()]) for row, there in zip(ids, mask, strict=True)]
