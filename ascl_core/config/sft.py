"""Parameters of `sft`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import split_batch
from ascl_core.config.sft_data import SftData

if TYPE_CHECKING:
    ArmName = str
else:
    ArmName = Literal[tuple(data.value for data in SftData if data.arm.stage == "sft")]


class SftConfig(Config):
    """Supervised fine-tuning with TRL's `SFTTrainer`, loss on assistant turns only."""

    arm: ArmName = "ascl"
    """The data of the stage `sft`: ASCL's trajectories, the same without look-ups (the paper's surrogate), or a public set of
    `build_sft.published`. The stages of this project's own baselines have their own data."""
    lora: LoraConfig | None = None
    """Train low-rank matrices and merge them at the end; None trains every weight."""
    max_steps: int = Field(default=450, ge=0)
    """Optimiser steps, unless `epochs` is set; 0 publishes the base model unchanged, also with `epochs`, so that reinforcement learning
    starts from it."""
    epochs: float | None = Field(default=None, gt=0.0)
    """Passes over the data; if set, they decide the number of steps instead of `max_steps`: rows × epochs / `batch_size`, rounded up."""
    batch_size: int = Field(default=64, ge=1)
    """Conversations per optimiser step."""
    micro_batch_size: int = Field(default=64, ge=1)
    """Conversations per forward pass of a process, at most its share of the batch; the rest is accumulated."""
    learning_rate: float = Field(default=2e-3, gt=0.0, le=1.0)
    """Peak learning rate of AdamW (cosine schedule)."""
    warmup_steps: int = Field(default=20, ge=0)
    """Steps of linear warm-up."""
    adam_beta2: float = Field(default=0.95, gt=0.0, lt=1.0)
    """Decay of AdamW's second moments; short runs need less than the usual 0.999."""
    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0)
    """AdamW's weight decay."""
    max_length: int = Field(default=512, ge=32)
    """The longest conversation, in tokens; a longer one is an error, because a truncated one would teach to stop early."""
    save_steps: int = Field(default=100, ge=1)
    """Steps between resumable checkpoints."""
    seed: int = 0
    """Seed of the order of examples."""

    def steps(self, rows: int) -> int:
        """Return the optimiser steps of a training on that many rows.

        >>> SftConfig(epochs=5, batch_size=128, micro_batch_size=2).steps(1000)
        40
        """
        if self.epochs is None or self.max_steps == 0:
            return self.max_steps
        return math.ceil(round(rows * self.epochs / self.batch_size, 6))

    @model_validator(mode="after")
    def _batches_divide(self) -> SftConfig:
        split_batch(self.batch_size, self.micro_batch_size, 1)
        return self
