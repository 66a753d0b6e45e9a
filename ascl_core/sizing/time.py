"""Operations and hours, by the usual count of two operations for each parameter and token (arXiv 2001.08361, section 2.1).

Attention itself is left out: it adds some per cent at a few thousand tokens.
"""

from __future__ import annotations

from ascl_core.config.lora import LoraConfig
from ascl_core.sizing.devices import Device
from ascl_core.sizing.shape import Shape

TRAINING_UTILISATION = 0.35
"""Share of the data sheet's speed that training of a few billion parameters usually reaches on a GPU (model FLOPs utilisation)."""
SAMPLING_UTILISATION = 0.10
"""The same for batched decoding, which is bound by memory and not by products."""


def training_operations(shape: Shape, tokens: float, lora: LoraConfig | None, *, checkpointing: bool) -> float:
    """Return 6 N T: forward 2, gradients of activations 2, of weights 2, which LoRA saves; recomputing the forward adds 2.

    >>> from ascl_core.sizing.shape import known_shape
    >>> f"{training_operations(known_shape('Qwen/Qwen3-8B'), 1e9, None, checkpointing=False):.3g}"
    '4.54e+19'
    """
    passes = (4 if lora else 6) + (2 if checkpointing else 0)
    return passes * shape.multiplied * tokens


def sampling_operations(shape: Shape, tokens: float) -> float:
    """Return 2 N T, for tokens that are read and tokens that are written."""
    return 2 * shape.multiplied * tokens


def hours(operations: float, device: Device, count: int, utilisation: float) -> float:
    """Return the hours on `count` devices at that utilisation."""
    return operations / (device.tflops * 1e12 * count * utilisation) / 3600
