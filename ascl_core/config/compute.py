"""Parameters of the machine that trains and generates; they can change results bit for bit, so they are recorded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config


class ComputeConfig(Config):
    """Device, precision and threads."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` uses a GPU if there is one."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of computation and checkpoints; on a GPU, trained weights are always float32."""
    threads: int = Field(default=2, ge=1, le=256)
    """CPU threads for torch; the same number gives the same bits on the same machine."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """The engine that generates responses outside training and serving."""
    vllm_memory_share: float = Field(default=0.45, gt=0.0, lt=1.0)
    """The share of the GPU's memory for a vLLM engine outside training; policy and judge run side by side."""
