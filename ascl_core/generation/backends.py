"""Which backend samples: transformers, or vLLM on a GPU; each is imported only where it is configured."""

from __future__ import annotations

from pathlib import Path

from ascl_core.config.compute import ComputeConfig
from ascl_core.generation import Generator


def make_generator(checkpoint: str | Path, compute: ComputeConfig, revision: str | None = None) -> Generator:
    """The configured backend on that checkpoint."""
    if compute.backend == "vllm":
        from ascl_core.generation.vllm import VllmGenerator

        return VllmGenerator(checkpoint, compute, revision)
    from ascl_core.generation.transformers import TransformersGenerator

    return TransformersGenerator(checkpoint, compute, revision)
