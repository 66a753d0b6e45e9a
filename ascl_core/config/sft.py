"""Parameters of `sft`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import split_batch


class SftConfig(Config):
    """Supervised fine-tuning with TRL's `SFTTrainer`, loss on assistant turns only."""

    arm: Literal["ascl", "surrogate", "star1", "star1_mix", "safechain"] = "ascl"
    """The data of the stage `sft`: ASCL's trajectories, the same without look-ups (the paper's surrogate), or a public set of
    `build_sft.published`. The stages of this project's own baselines have their own data."""
    lora: LoraConfig | None = None
    """Train low-rank matrices and merge them at the end; None trains every weight."""
    max_steps: int = Field(default=450, ge=0)
    """Optimiser steps; 0 publishes the base model unchanged, so that reinforcement learning starts from it."""
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

    @model_validator(mode="after")
    def _batches_divide(self) -> SftConfig:
        split_batch(self.batch_size, self.micro_batch_size, 1)
        return self
