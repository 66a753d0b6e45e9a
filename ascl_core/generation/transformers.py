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

    def __init__(self, checkpoint: Path, compute: ComputeConfig) -> None:
        self.tokenizer = load_tokenizer(checkpoint)
        self.model: Any = load_model(checkpoint, compute).eval()

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

    @torch.inference_mode()
    def _turn(self, batch: list[OpenConversation], sampling: Sampling) -> None:
        room = self.model.config.max_position_embeddings - max(len(c.input_ids) for c in batch)
        if room <= 0:
            for conversation in batch:
                conversation.finished = conversation.open = False
            return
        inputs = self.tokenizer.pad({"input_ids": [c.input_ids for c in batch]}, padding_side="left", return_tensors="pt")
        inputs = inputs.to(self.model.device)
        drawing = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0} if sampling.temperature else {"do_sample": False}
        ids = self.model.generate(
            **inputs,
            max_new_tokens=min(sampling.max_new_tokens, room),
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            **drawing,
        )
        for conversation, row in zip(batch, ids[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            conversation.take_turn(_until_end(row, self.tokenizer.eos_token_id), self.tokenizer)


def _until_end(ids: list[int], end: int) -> list[int]:
    """The ids up to and with the first end token."""
    return ids[: ids.index(end) + 1] if end in ids else ids
