"""The choice of a backend; each is imported only where it is configured."""

from __future__ import annotations

from pathlib import Path

from ascl_core.config.compute import ComputeConfig
from ascl_core.generation import Generator


def make_generator(checkpoint: str | Path, compute: ComputeConfig, revision: str | None = None) -> Generator:
    """Return a generator of the configured backend for that checkpoint."""
    if compute.backend == "vllm":
        from ascl_core.generation.vllm import VllmGenerator

        return VllmGenerator(checkpoint, compute, revision)
    from ascl_core.generation.transformers import TransformersGenerator

    return TransformersGenerator(checkpoint, compute, revision)
