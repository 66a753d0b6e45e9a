"""Sampling with transformers: batches of like length, continued turn by turn until each conversation ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt, Rollout
from ascl_core.generation import Sampling, ToolFor
from ascl_core.generation.load import load_model, load_tokenizer
from ascl_core.generation.tool_loop import OpenConversation, open_conversations
from ascl_core.progress import Progress


class TransformersGenerator:
    """One checkpoint in memory."""

    def __init__(self, checkpoint: str | Path, compute: ComputeConfig, revision: str | None = None) -> None:
        self.tokenizer = load_tokenizer(checkpoint, revision)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model: Any = load_model(checkpoint, compute, revision).eval()

    def rollouts(
        self,
        prompts: Sequence[Prompt],
        *,
        samples: int,
        sampling: Sampling,
        tool_for: ToolFor | None,
        conversation: ConversationConfig,
        batch_size: int,
        progress: Progress,
    ) -> list[Rollout]:
        """See `Generator`; the same prompts, batch size and seed give the same rollouts."""
        torch.manual_seed(sampling.seed)
        everything = open_conversations(self.tokenizer, list(prompts), samples, tool_for, conversation)
        while waiting := [c for c in everything if c.open]:
            waiting.sort(key=lambda c: len(c.input_ids))
            for start in range(0, len(waiting), batch_size):
                self._turn(waiting[start : start + batch_size], sampling)
                progress.update("generate", sum(not c.open for c in everything), len(everything))
        return [conversation.rollout(self.tokenizer) for conversation in everything]

    def complete(self, inputs: Sequence[list[int]], *, sampling: Sampling, batch_size: int) -> list[list[int]]:
        """See `Generator`; the same inputs, batch size and seed give the same tokens.

        Greedy sampling leaves torch's random state alone, so that a judge does not disturb a training run.
        """
        if sampling.temperature:
            torch.manual_seed(sampling.seed)
        outputs: list[list[int]] = [[] for _ in inputs]
        fitting = [i for i, ids in enumerate(inputs) if len(ids) < self.model.config.max_position_embeddings]
        order = sorted(fitting, key=lambda i: len(inputs[i]))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            for i, ids in zip(batch, self._continue([inputs[i] for i in batch], sampling), strict=True):
                outputs[i] = ids
        return outputs

    def _turn(self, batch: list[OpenConversation], sampling: Sampling) -> None:
        turns = self._continue([conversation.input_ids for conversation in batch], sampling)
        for conversation, ids in zip(batch, turns, strict=True):
            conversation.take_turn(ids, self.tokenizer)

    def _continue(self, batch: list[list[int]], sampling: Sampling) -> list[list[int]]:
        """One generated turn for each input, as far as the context reaches; empty where an input fills it.

        A long input cuts nobody else short: where it has no room left, the others go on without it.
        """
        context, end = self.model.config.max_position_embeddings, self.tokenizer.eos_token_id
        turns: list[list[int]] = [[] for _ in batch]
        while True:
            left = [
                min(sampling.max_new_tokens - len(turn), context - len(ids) - len(turn)) for ids, turn in zip(batch, turns, strict=True)
            ]
            going = [i for i, turn in enumerate(turns) if left[i] > 0 and turn[-1:] != [end]]
            if not going:
                return turns
            inputs = [batch[i] + turns[i] for i in going]
            for i, ids in zip(going, self._generate(inputs, min(left[i] for i in going), sampling), strict=True):
                turns[i] += ids

    @torch.inference_mode()
    def _generate(self, batch: list[list[int]], max_new_tokens: int, sampling: Sampling) -> list[list[int]]:
        """What follows each input, up to and with the end token."""
        inputs = self.tokenizer.pad({"input_ids": batch}, padding_side="left", return_tensors="pt").to(self.model.device)
        sampled = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
        ids = self.model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            **(sampled if sampling.temperature else {"do_sample": False}),
        )
        return [_until_end(row, self.tokenizer.eos_token_id) for row in ids[:, inputs["input_ids"].shape[1] :].tolist()]


def _until_end(ids: list[int], end: int) -> list[int]:
    """The ids up to and with the first end token."""
    return ids[: ids.index(end) + 1] if end in ids else ids
