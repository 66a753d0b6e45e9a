"""Bytes on disk: published checkpoints, the training state that a run resumes from, and models from the hub.

P parameters, T of them trained, B bytes of `compute.dtype`.
"""

from __future__ import annotations

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.sizing.memory import BYTES, trained
from ascl_core.sizing.shape import Shape

_MASTER, _ADAM = 4, 8


def published(shape: Shape, compute: ComputeConfig) -> int:
    """Return the bytes of one published checkpoint: B P."""
    return shape.parameters * BYTES[compute.dtype]


def resumable(shape: Shape, lora: LoraConfig | None) -> int:
    """Return the bytes of resumable state: float32 weights and AdamW's two values of each, 12 T; twice while a new one is written."""
    return 2 * (_MASTER + _ADAM) * trained(shape, lora)


def downloaded(shape: Shape) -> int:
    """Return the bytes of a hub model in the local cache; the models here are published in two bytes a parameter."""
    return 2 * shape.parameters
