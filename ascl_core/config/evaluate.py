"""Parameters of `evaluate`."""

from __future__ import annotations

from pydantic import Field

from ascl_core.config.base import Config
from ascl_core.config.judge import JudgeConfig


class EvaluateConfig(Config):
    """How responses are sampled and judged."""

    judge: JudgeConfig = JudgeConfig(name="exemplars")
    """The judge of the evaluation; never the one used in training."""
    samples: int = Field(default=1, ge=1, le=64)
    """Responses per prompt; utility is the mean pass@1 over them."""
    temperature: float = Field(default=1.0, ge=0.0, le=5.0)
    """Sampling temperature; 0 is greedy."""
    max_new_tokens: int = Field(default=160, ge=8)
    """Tokens that the model may generate in one turn."""
    batch_size: int = Field(default=256, ge=1)
    """Conversations generated together."""
    seed: int = 0
    """Seed of the sampling."""
