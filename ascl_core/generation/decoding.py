"""Sampling token by token with one cache: prompts read once, tool results read where they come, finished rows dropped.

Every step feeds each row one token: what was sampled, or the next of the tokens that it has to read. So a tool result costs
no second reading of the conversation, and rows in different turns stay in step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

Took = Callable[[int, int, float], Sequence[int] | None]
"""Told of row, sampled token and its log-probability; the tokens to read before the next is sampled, or None where the row ends."""
_ROOM = 64
"""Columns by which a cache grows; each growth copies it."""
_LIVE_SHARE = 0.8
"""Finished rows are dropped when no more than this share is live: each time copies the cache."""


@torch.inference_mode()
def decode(model: Any, inputs: Sequence[list[int]], took: Took, *, temperature: float, generator: torch.Generator | None) -> None:
    """Continue each input until `took` ends it; temperature 0 is greedy and needs no generator.

    The chance of a token is softmax(logits / temperature); the same inputs and generator give the same tokens.
    """
    logits, cache, mask = _read(model, inputs)
    rows = list(range(len(inputs)))
    to_read: list[list[int]] = [[] for _ in inputs]
    """Tokens that each row has still to read, the next one last."""
    live = [True] * len(inputs)
    while True:
        tokens, log_probs = _sample(logits, temperature, generator)
        fed = [
            _next(row, token, log_prob, to_read, live, took)
            for row, token, log_prob in zip(rows, tokens.tolist(), log_probs.tolist(), strict=True)
        ]
        num_live = sum(live[row] for row in rows)
        if num_live == 0:
            return
        if num_live <= _LIVE_SHARE * len(rows):
            kept = [i for i, row in enumerate(rows) if live[row]]
            rows, fed = [rows[i] for i in kept], [fed[i] for i in kept]
            selected = torch.tensor(kept, device=mask.device)
            cache.batch_select_indices(selected)
            mask = mask[selected]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        logits = _forward(model, torch.tensor(fed, device=mask.device)[:, None], mask, cache)


def _next(row: int, token: int, log_prob: float, to_read: list[list[int]], live: list[bool], took: Took) -> int:
    """The token that the row is fed: one that it has to read, or the sampled one; whatever where it has ended."""
    if not live[row]:
        return token
    if to_read[row]:
        return to_read[row].pop()
    following = took(row, token, log_prob)
    live[row] = following is not None
    to_read[row] = list(reversed(following or ()))
    return token


def _read(model: Any, inputs: Sequence[list[int]]) -> tuple[Tensor, Any, Tensor]:
    """Logits (B, V) after each input, the cache and the mask (B, T) of all; equal inputs are read once."""
    unique = list(dict.fromkeys(map(tuple, inputs)))
    number_of = {ids: number for number, ids in enumerate(unique)}
    width = max(map(len, unique))
    ids, mask = torch.zeros(2, len(unique), width, dtype=torch.long, device=model.device)
    for number, tokens in enumerate(unique):
        ids[number, width - len(tokens) :] = torch.tensor(tokens)
        mask[number, width - len(tokens) :] = 1
    cache = DynamicCache(config=model.config)
    cache.layers = [_GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    logits = _forward(model, ids, mask, cache)
    row_of = torch.tensor([number_of[tuple(tokens)] for tokens in inputs], device=model.device)
    cache.batch_select_indices(row_of)
    return logits[row_of], cache, mask[row_of]


def _forward(model: Any, ids: Tensor, mask: Tensor, cache: Any) -> Tensor:
    """Logits (B, V) after the last of the ids."""
    positions = (mask.cumsum(1) - 1).clamp_min(0)[:, -ids.shape[1] :]
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return output.logits[:, -1]


def _sample(logits: Tensor, temperature: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """One token (B,) a row and its log-probability, by the inverse of the distribution function: one random number a row."""
    logits = logits.float()
    probs = (logits if temperature in (0, 1) else logits / temperature).softmax(-1)
    if temperature:
        cumulative = probs.cumsum(-1)
        total = cumulative[:, -1]
        drawn = torch.rand(len(probs), generator=generator, device=probs.device) * total
        drawn = torch.minimum(drawn, total.nextafter(torch.zeros_like(total)))
        tokens = torch.searchsorted(cumulative, drawn[:, None], right=True)[:, 0]
    else:
        tokens = logits.argmax(-1)
    return tokens, probs.gather(1, tokens[:, None])[:, 0].log()


class _GrowingLayer(DynamicLayer):
    """Keys and values in room that is kept free behind them, so that a step writes one column and copies none."""

    _rooms: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """See `DynamicLayer`."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._rooms is None or end > self._rooms[0].shape[-2]:
            self._rooms = (self._enlarged(self.keys, key_states, end + _ROOM), self._enlarged(self.values, value_states, end + _ROOM))
        for room, states in zip(self._rooms, (key_states, value_states), strict=True):
            room[..., start:end, :] = states
        self.keys, self.values = (room[..., :end, :] for room in self._rooms)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """See `DynamicLayer`."""
        super().batch_select_indices(indices)
        self._rooms = None

    @staticmethod
    def _enlarged(held: Tensor | None, states: Tensor, length: int) -> Tensor:
        room = states.new_empty(*states.shape[:-2], length, states.shape[-1])
        if held is not None and held.numel():
            room[..., : held.shape[-2], :] = held
        return room
