"""Proof that weights are the ones that they are taken for: the logits of a few tokens before and after they were merged or saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ascl_core.errors import ModelError
from ascl_core.generation.load import read_model

SAME = 1e-3
"""The largest relative difference of logits that are computed from the same weights with the same precision in another order."""
ROUNDED = 0.25
"""The same where one of them is computed with half precision, and rounding adds up from layer to layer."""
_TOKENS = 16


def sample_logits(model: Any) -> Tensor:
    """Return logits (T, V) in float32 after each of a few tokens from all over the vocabulary; random states and mode stay.

    `model` may be wrapped for several processes, all of which must call it.
    """
    rows = getattr(model, "module", model).config.get_text_config().vocab_size  # DistributedDataParallel has no config of its own
    ids = (torch.arange(_TOKENS) * max(1, rows // _TOKENS)).clamp_max(rows - 1)
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        logits: Tensor = model(input_ids=ids[None].to(device), use_cache=False).logits[0].float().cpu()
    model.train(was_training)
    return logits


def difference(before: Tensor, after: Tensor) -> float:
    """Return the largest difference of a token's logits (T, V), relative to their mean spread; infinite for those of another shape."""
    if before.shape != after.shape:
        return float("inf")
    spread = (before - before.mean(-1, keepdim=True)).norm(dim=-1).mean().clamp_min(1e-6)
    return float((before - after).norm(dim=-1).max() / spread)


def check_saved(model: Any, folder: Path, threads: int) -> None:
    """Raise unless the checkpoint in the folder computes what the model (on the CPU) computes that was saved there."""
    before = sample_logits(model)
    after = sample_logits(read_model(folder, str(model.dtype).removeprefix("torch."), threads))
    if (apart := difference(before, after)) > SAME:
        hint = "its architecture is not saved and loaded alike by this version of transformers: take another model"
        raise ModelError(
            f"the saved weights are not those of the model: logits differ by {apart:.2g} of their spread", file=folder, hint=hint
        )
