"""Attention of one new token a row that reads each cached key once for all query heads that share it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "ascl_grouped_sdpa"


def use_grouped_attention(model: Any) -> None:
    """Let a model that attends by `sdpa` decode so; others stay as they are.

    transformers copies the cached keys and values once for every query head in each step where rows are padded; the
    query heads that share a key are taken for queries of one head instead. The results are the same.
    """
    if model.config._attn_implementation == "sdpa" and model.device.type == "cpu":
        AttentionInterface.register(_NAME, _attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.set_attn_implementation(_NAME)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None, **named: Any
) -> tuple[Tensor, None]:
    """Return the heads' outputs (B, 1, heads, D) for queries (B, heads, 1, D) on keys and values (B, shared heads, T, D)."""
    rows, heads, queries, size = query.shape
    if queries != 1 or heads == key.shape[1] or named.get("position_bias") is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **named)
    folded = query.reshape(rows, key.shape[1], heads // key.shape[1], size)
    attended = torch.nn.functional.scaled_dot_product_attention(folded, key, value, attn_mask=attention_mask, scale=scaling)
    return attended.reshape(rows, 1, heads, value.shape[-1]), None
