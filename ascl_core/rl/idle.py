"""Rollouts whose advantage is 0, left out of a batch."""

from __future__ import annotations

from typing import Any

import torch


def without_idle(batch: dict[str, Any], num_chunks: int, working: int, *, over_rollouts: bool) -> dict[str, Any]:
    """Return the batch without rollouts of advantage 0, for a loss without a KL term: they cost as much as others and move nothing.

    Of N rollouts K stay, at least the `working` ones, and a multiple of the chunks into which TRL cuts the batch. A mean over
    tokens divides by `num_items_in_batch`, which TRL counted before and which stays. For a mean `over_rollouts` the advantages are
    scaled by K/N, so that the mean over K is the mean over N. Columns that are padding in every rollout that stays are cut off.
    """
    advantages = batch["advantages"]
    k = max(1, -(-working // num_chunks)) * num_chunks
    rows = torch.argsort((advantages == 0).int(), stable=True)[:k].sort().values
    width = batch["completion_mask"].shape[1]
    first = batch["prompt_mask"].shape[1] - int(batch["prompt_mask"][rows].sum(1).max())
    last = int(batch["completion_mask"][rows].sum(1).max())

    def kept(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.ndim == 0:
            return [value[row] for row in rows.tolist()] if isinstance(value, list) else value
        value = value[rows]
        if name in ("prompt_ids", "prompt_mask"):
            return value[:, first:]
        return value[:, :last] if value.ndim == 2 and value.shape[1] == width else value

    scale = k / len(advantages) if over_rollouts else 1.0
    return {name: kept(name, value) for name, value in batch.items()} | {"advantages": advantages[rows] * scale}
