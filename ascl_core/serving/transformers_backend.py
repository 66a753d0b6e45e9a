"""Serving with transformers: batches, each generated to its end with the decoder of evaluation."""

from __future__ import annotations

import math
import secrets
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import torch

from ascl_core.config.compute import ComputeConfig
from ascl_core.cpu.decoding import decode
from ascl_core.generation.load import context_length
from ascl_core.generation.transformers import TransformersGenerator
from ascl_core.serving.engine import Waiting, model_failure
from ascl_core.serving.exchange import Exchange, Ranked


class TransformersBackend:
    """See `Backend`."""

    has_log_probs = True

    def __init__(self, checkpoint: str | Path, compute: ComputeConfig, batch_size: int) -> None:
        generator = TransformersGenerator(checkpoint, compute)
        self.tokenizer = generator.tokenizer
        self.model: Any = generator.model
        self.context_length = context_length(self.model)
        self.batch_size = batch_size

    def serve(self, waiting: Waiting) -> None:
        """See `Backend`."""
        while batch := waiting.take(self.batch_size, alike=_batch_key):
            try:
                self._sample([one for one in batch if one.starts()])
                for one in batch:
                    if one.wants_another:
                        waiting.put_back(one)
            except Exception as error:  # the model's own, such as running out of memory: the next batch may fit
                problem = model_failure(error)
                for one in batch:
                    one.fail(problem)

    @torch.inference_mode()
    def log_probs(self, ids: Sequence[int]) -> torch.Tensor:
        """Return the log-probabilities (T, V) of the token after each of these; safe beside a batch, as it shares no cache with it."""
        output = self.model(input_ids=torch.tensor([[*ids]], device=self.model.device), use_cache=False)
        return output.logits[0].float().log_softmax(-1).cpu()

    def _sample(self, batch: Sequence[Exchange]) -> None:
        if not batch:
            return
        first = batch[0].drawing
        seed = secrets.randbits(63) if first.seed is None else first.seed % 2**63
        top: dict[int, Ranked] = {}

        def rank(row: int, probs: torch.Tensor) -> None:
            if most := batch[row].drawing.num_top:
                values, tokens = probs.topk(min(most, probs.shape[-1]))
                top[row] = [one for one in zip(tokens.tolist(), values.log().tolist(), strict=True) if one[1] > -math.inf]

        decode(
            self.model,
            [one.conversation.input_ids for one in batch],
            lambda row, token, log_prob: batch[row].take(token, log_prob, top.get(row, ())),
            temperature=first.temperature,
            generator=torch.Generator(self.model.device).manual_seed(seed) if first.temperature else None,
            top_p=first.top_p,
            observe=rank,
        )


def _batch_key(one: Exchange) -> Hashable:
    """Return what a batch shares: temperature and top_p, and the random numbers, so a request with its own seed runs alone."""
    alone = one.drawing.temperature and one.drawing.seed is not None
    return id(one) if alone else (one.drawing.temperature, one.drawing.top_p)
