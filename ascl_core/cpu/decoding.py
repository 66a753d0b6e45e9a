"""Sampling token by token with one cache: equal inputs read once, a tool result read in one go, finished rows dropped.

A row that has something to read leaves the batch with its keys and values; when every row has ended or waits, those that
wait read together, and go on. So no conversation is read twice, and a result costs one forward instead of one a token.

A model that keeps something else than keys and values by position (Mamba, Qwen3.5 and other linear or hybrid attention) is sampled with
transformers' own `generate`: rows of one length at a time, as its state has no padding, and a row that reads a result starts again.
RWKV is sampled row by row: its forward of one token broadcasts the states of all rows of a batch over each other.
"""

from __future__ import annotations

import inspect
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

_logger = logging.getLogger(__name__)
Took = Callable[[int, int, float], Sequence[int] | None]
"""Takes row, sampled token and its log-probability; returns the tokens to read before the next is sampled, or None at the row's end."""
Observe = Callable[[int, Tensor], None]
"""Takes row and the probabilities (V,) of its next token, before that is taken."""
_Draw = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
_ROOM = 64
"""Columns by which a cache grows; each growth copies it."""
_ENDLESS = 2**24
"""The tokens that `generate` may make: what takes them ends a row."""
_LIVE_SHARE = 0.8
"""Rows that ended or wait are dropped when no more than this share is live: each time copies the cache."""


@dataclass
class _Row:
    """A row that the model has not read to its end."""

    number: int
    ids: list[int]
    held: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Keys and values (heads, T, D) of the first T ids, by layer; empty where nothing was read, or the cache is of another kind."""

    @property
    def num_held(self) -> int:
        """The number of ids that need no reading."""
        return self.held[0][0].shape[1] if self.held else 0


@torch.inference_mode()
def decode(
    model: Any,
    inputs: Sequence[list[int]],
    took: Took,
    *,
    temperature: float,
    generator: torch.Generator | None,
    top_p: float = 1.0,
    observe: Observe | None = None,
) -> None:
    """Continue each input until `took` ends it; temperature 0 is greedy, and no generator is torch's own random state.

    The chance of a token is softmax(logits / temperature), or 0 outside the fewest most probable tokens that have `top_p` of it
    together; the same inputs and random state give the same tokens.
    """
    rows = [_Row(number, list(ids)) for number, ids in enumerate(inputs)]
    sample_turns = _sample_turns if keeps_plain_cache(model) else _generate_turns
    while rows:
        rows = sample_turns(model, rows, took, lambda logits: _sample(logits, temperature, top_p, generator), observe)


def keeps_plain_cache(model: Any) -> bool:
    """Return whether the model's cache is keys and values by position, of all tokens or of a window."""
    plain = _plain(model)
    if getattr(plain, "_is_stateful", False) or not {"position_ids", "past_key_values", "logits_to_keep"} <= _accepted(plain):
        return False
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in DynamicCache(config=plain.config).layers)


def _plain(model: Any) -> Any:
    """Return the model within its adapters."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _accepted(plain: Any) -> set[str]:
    """Return the names of the arguments of a model's forward."""
    return set(inspect.signature(plain.forward).parameters)


def log_sampling(model: Any) -> None:
    """Log a warning if the model is sampled with transformers' own `generate`."""
    if not keeps_plain_cache(model):
        why = "its cache is not keys and values by position alone"
        _logger.warning("%s is sampled with transformers' own generate, which is slower: %s", model.config.model_type, why)


def _generate_turns(model: Any, rows: list[_Row], took: Took, draw: _Draw, observe: Observe | None) -> list[_Row]:
    """Continue each row with transformers' own `generate` until it ends or has something to read; return those that have."""
    batches: defaultdict[int, list[_Row]] = defaultdict(list)
    is_alone = "state" in _accepted(_plain(model))  # RWKV; other models keep a cache
    for row in rows:
        batches[row.number if is_alone else len(row.ids)].append(row)
    waiting: list[_Row] = []
    for batch in batches.values():
        live = [True] * len(batch)

        def choose(_: Tensor, logits: Tensor, batch: list[_Row] = batch, live: list[bool] = live) -> Tensor:
            """Return logits that leave the drawn tokens alone."""
            tokens, log_probs, probs = draw(logits)
            for i, (token, log_prob) in enumerate(zip(tokens.tolist(), log_probs.tolist(), strict=True)):
                if live[i]:
                    if observe is not None:
                        observe(batch[i].number, probs[i])
                    following = took(batch[i].number, token, log_prob)
                    live[i] = following is not None and len(following) == 0
                    batch[i].ids += [token, *(following or ())]
                    if following:
                        waiting.append(batch[i])
            return torch.full_like(logits, -torch.inf).scatter(1, tokens[:, None], 0.0)

        def ended(ids: Tensor, _: Any, live: list[bool] = live, **named: Any) -> Tensor:
            return ~torch.tensor(live, device=ids.device)

        ids = torch.tensor([row.ids for row in batch], device=model.device)
        own, model.generation_config = model.generation_config, GenerationConfig(pad_token_id=0, max_new_tokens=_ENDLESS)
        try:
            model.generate(ids, attention_mask=torch.ones_like(ids), logits_processor=[choose], stopping_criteria=[ended])
        finally:
            model.generation_config = own
    return waiting


def _sample_turns(model: Any, rows: list[_Row], took: Took, draw: _Draw, observe: Observe | None) -> list[_Row]:
    """Read the rows and continue each until it ends or has something to read; return those that have."""
    logits, cache, mask = _read(model, rows)
    waiting: list[_Row] = []
    live = [True] * len(rows)
    while True:
        tokens, log_probs, probs = draw(logits)
        for i, (token, log_prob) in enumerate(zip(tokens.tolist(), log_probs.tolist(), strict=True)):
            if not live[i]:
                continue
            row = rows[i]
            if observe is not None:
                observe(row.number, probs[i])
            following = took(row.number, token, log_prob)
            live[i] = following is not None and len(following) == 0
            row.ids += [token, *(following or ())]
            if following:
                waiting.append(_Row(row.number, row.ids, _held(cache, i, mask[i].bool())))
        if not any(live):
            return waiting
        if sum(live) <= _LIVE_SHARE * len(rows):
            kept = [i for i, is_live in enumerate(live) if is_live]
            rows, live = [rows[i] for i in kept], [True] * len(kept)
            selected = torch.tensor(kept, device=mask.device)
            cache.batch_select_indices(selected)
            mask, tokens = mask[selected], tokens[selected]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        logits = _forward(model, tokens[:, None], mask, cache)


def _read(model: Any, rows: Sequence[_Row]) -> tuple[Tensor, Any, Tensor]:
    """Return logits (B, V) after each row's ids, the cache and the mask (B, T) of all; equal rows are read once."""
    unique = {tuple(row.ids): row for row in rows}
    number_of = {ids: number for number, ids in enumerate(unique)}
    cache, mask = _cache_of(model, list(unique.values()))
    unread = [row.ids[row.num_held :] for row in unique.values()]
    ids, there = torch.zeros(2, len(unique), max(map(len, unread)), dtype=torch.long, device=model.device)
    for number, tokens in enumerate(unread):
        ids[number, -len(tokens) :] = torch.tensor(tokens)
        there[number, -len(tokens) :] = 1
    mask = torch.cat([mask, there], dim=1)
    logits = _forward(model, ids, mask, cache)
    row_of = torch.tensor([number_of[tuple(row.ids)] for row in rows], device=model.device)
    cache.batch_select_indices(row_of)
    return logits[row_of], cache, mask[row_of]


def _cache_of(model: Any, rows: Sequence[_Row]) -> tuple[Any, Tensor]:
    """Return a cache of what the rows hold, and its mask (B, T)."""
    cache: Any = DynamicCache(config=model.config)
    cache.layers = [_GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    width = max(row.num_held for row in rows)
    mask = torch.zeros(len(rows), width, dtype=torch.long, device=model.device)
    for number, row in enumerate(rows):
        mask[number, width - row.num_held :] = 1
    if width:
        for layer, of_rows in zip(cache.layers, zip(*(row.held for row in rows), strict=True), strict=True):
            layer.update(*(_padded(states, width) for states in zip(*of_rows, strict=True)))
    return cache, mask


def _padded(states: Iterable[Tensor], width: int) -> Tensor:
    """Return keys or values (B, heads, width, D), with zeros in front of shorter rows."""
    return torch.stack([torch.nn.functional.pad(of_row, (0, 0, width - of_row.shape[1], 0)) for of_row in states])


def _held(cache: Any, i: int, there: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return a copy of the row's keys and values by layer, without padding; nothing where a layer keeps something else."""
    if not all(type(layer) is _GrowingLayer for layer in cache.layers):
        return []
    return [(layer.keys[i][:, there], layer.values[i][:, there]) for layer in cache.layers]


def _forward(model: Any, ids: Tensor, mask: Tensor, cache: Any) -> Tensor:
    """Return logits (B, V) after the last of the ids."""
    positions = (mask.cumsum(1) - 1).clamp_min(0)[:, -ids.shape[1] :]
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return output.logits[:, -1]


def _sample(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return one token (B,) a row, its log-probability, and the probabilities (B, V) that it was drawn from.

    It is drawn by the inverse of the distribution function: one random number a row.
    """
    logits = logits.float()
    probs = (logits if temperature in (0, 1) else logits / temperature).softmax(-1)
    if temperature:
        probs = probs if top_p >= 1 else _nucleus(probs, top_p)
        cumulative = probs.cumsum(-1)
        total = cumulative[:, -1]
        drawn = torch.rand(len(probs), generator=generator, device=probs.device) * total
        drawn = torch.minimum(drawn, total.nextafter(torch.zeros_like(total)))
        tokens = torch.searchsorted(cumulative, drawn[:, None], right=True)[:, 0]
    else:
        tokens = logits.argmax(-1)
    return tokens, probs.gather(1, tokens[:, None])[:, 0].log(), probs


def _nucleus(probs: Tensor, top_p: float) -> Tensor:
    """Return the probabilities (B, V) of the fewest most probable tokens that have `top_p` together, rescaled to sum to 1; 0 elsewhere."""
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    outside[:, 0] = False
    kept = probs.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), 0.0)
    return kept / kept.sum(-1, keepdim=True)


class _GrowingLayer(DynamicLayer):
    """Keys and values with free room behind them, so that a step writes one column and copies none."""

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
