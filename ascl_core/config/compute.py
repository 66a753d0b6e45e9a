"""Parameters of the machine that trains and generates; they may change bits, so they are recorded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config


class ComputeConfig(Config):
    """Device, precision and threads."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of computing and of checkpoints; on a GPU, weights that are trained are float32 in any case."""
    threads: int = Field(default=2, ge=1, le=256)
    """CPU threads for torch; the same number gives the same bits on the same machine."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """What generates responses outside training."""
    vllm_memory_share: float = Field(default=0.45, gt=0.0, lt=1.0)
    """The share of the GPU's memory of a vLLM engine outside training; a policy and a judge stand side by side."""
