"""Serving with transformers: batches, each generated to its end with the decoder of evaluation."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import torch

from ascl_core.config.compute import ComputeConfig
from ascl_core.cpu.decoding import decode
from ascl_core.generation.transformers import TransformersGenerator
from ascl_core.serving.engine import Waiting, model_failure
from ascl_core.serving.exchange import Exchange


class TransformersBackend:
    """See `Backend`."""

    def __init__(self, checkpoint: str | Path, compute: ComputeConfig, batch_size: int) -> None:
        generator = TransformersGenerator(checkpoint, compute)
        self.tokenizer = generator.tokenizer
        self.model: Any = generator.model
        self.context_length = int(self.model.config.max_position_embeddings)
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

    def _sample(self, batch: Sequence[Exchange]) -> None:
        if not batch:
            return
        first = batch[0].drawing
        seed = secrets.randbits(63) if first.seed is None else first.seed % 2**63
        decode(
            self.model,
            [one.conversation.input_ids for one in batch],
            lambda row, token, _: batch[row].take(token),
            temperature=first.temperature,
            generator=torch.Generator(self.model.device).manual_seed(seed) if first.temperature else None,
        )


def _batch_key(one: Exchange) -> Hashable:
    """Return what a batch shares: the temperature, and the random numbers, so a request with its own seed runs alone."""
    alone = one.drawing.temperature and one.drawing.seed is not None
    return id(one) if alone else f"temperature {one.drawing.temperature}"
