"""Sampling with transformers: batches of like length, each conversation continued through its tool calls to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch

from ascl_core.config.compute import ComputeConfig
from ascl_core.conversation.formats import end_ids
from ascl_core.conversation.tool_loop import OpenRollout
from ascl_core.cpu.conversing import converse
from ascl_core.cpu.decoding import decode, log_sampling
from ascl_core.cpu.grouped_attention import use_grouped_attention
from ascl_core.generation import Generator, Sampling
from ascl_core.generation.load import context_length, load_model, load_tokenizer


class TransformersGenerator(Generator):
    """One checkpoint in memory."""

    def __init__(self, checkpoint: str | Path, compute: ComputeConfig, revision: str | None = None) -> None:
        self.tokenizer = load_tokenizer(checkpoint, revision)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model: Any = load_model(checkpoint, compute, revision).eval()
        log_sampling(self.model)
        use_grouped_attention(self.model)

    def _converse(self, opened: list[OpenRollout], sampling: Sampling, batch_size: int) -> Iterator[None]:
        draw = self._draw(sampling)
        waiting = sorted(opened, key=lambda one: len(one.prompt_ids))
        for start in range(0, len(waiting), batch_size):
            converse(
                self.model,
                self.tokenizer,
                waiting[start : start + batch_size],
                room=lambda one: self._room(len(one.input_ids), sampling),
                ends=end_ids(self.tokenizer),
                temperature=sampling.temperature,
                generator=draw,
                top_p=sampling.top_p,
            )
            yield

    def complete(
        self, inputs: Sequence[list[int]], *, sampling: Sampling, batch_size: int, seeds: Sequence[int] | None = None
    ) -> list[list[int]]:
        """See `Generator`; the inputs share one random state, so that batch size and order count, too.

        Torch's own random state is left alone, so that a judge does not disturb a training run.
        """
        draw = self._draw(sampling if seeds is None else replace(sampling, seed=Random(str(list(seeds))).getrandbits(63)))
        outputs: list[list[int]] = [[] for _ in inputs]
        ends = end_ids(self.tokenizer)
        order = sorted((i for i, ids in enumerate(inputs) if self._room(len(ids), sampling) > 0), key=lambda i: len(inputs[i]))

        def take(row: int, token: int, _: float) -> list[int] | None:
            turn = outputs[batch[row]]
            turn.append(token)
            return None if token in ends or len(turn) == rooms[row] else []

        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            rooms = [self._room(len(inputs[i]), sampling) for i in batch]
            of_batch = [inputs[i] for i in batch]
            decode(self.model, of_batch, take, temperature=sampling.temperature, generator=draw, top_p=sampling.top_p)
        return outputs

    def _room(self, length: int, sampling: Sampling) -> int:
        """Return how many tokens may follow an input of that length."""
        return min(sampling.max_new_tokens, context_length(self.model) - length)

    def _draw(self, sampling: Sampling) -> torch.Generator | None:
        return torch.Generator(self.model.device).manual_seed(sampling.seed) if sampling.temperature else None
