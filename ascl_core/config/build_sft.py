"""Parameters of `build_sft`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config
from ascl_core.config.judge import JudgeConfig


class BuildSftConfig(Config):
    """Who writes the trajectories, and which are kept."""

    teacher: Literal["templated", "vllm", "transformers", "openai"] = "templated"
    """`templated` is offline; the others sample a chat model."""
    teacher_model: str | None = None
    """Path, hub id, or endpoint model of the teacher; None for `templated`."""
    teacher_base_url: str | None = None
    """`openai`: the endpoint; its key is read from `OPENAI_API_KEY`."""
    trajectories_per_prompt: int = Field(default=1, ge=1, le=64)
    """Trajectories for each prompt and mode."""
    judge: JudgeConfig = JudgeConfig()
    """Rejects wrong trajectories."""
    seed: int = 0
    """Seed of the teacher's choices."""
