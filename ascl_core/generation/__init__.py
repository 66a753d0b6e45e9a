"""Sampling conversations from a checkpoint, with the tool loop; transformers and vLLM behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt, Rollout
from ascl_core.conversation.tool import Tool
from ascl_core.conversation.tool_loop import OpenRollout, open_rollouts
from ascl_core.progress import Progress
from ascl_core.rules.retrieval import RuleIndex

ToolFor = Callable[[Prompt], Tool]
"""The tool with the rules of a prompt's jurisdiction."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float = 1.0
    """0 is greedy."""
    max_new_tokens: int = 160
    """The most tokens of one assistant turn."""
    seed: int = 0
    top_p: float = 1.0
    """Only the most probable tokens that together have this much probability are drawn from; 1 draws from all."""


class Generator(ABC):
    """A checkpoint that samples conversations."""

    tokenizer: Any
    """The checkpoint's own tokenizer, as transformers loads it."""

    @abstractmethod
    def complete(
        self, inputs: Sequence[list[int]], *, sampling: Sampling, batch_size: int, seeds: Sequence[int] | None = None
    ) -> list[list[int]]:
        """Return the token ids that follow each input, in order, up to and with the end token; none where an input fills the context.

        With `seeds`, one for each input, they replace the sampling's seed, and the output depends on no other call.
        """

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
        rules: RuleIndex | None = None,
    ) -> list[Rollout]:
        """Return `samples` rollouts of each prompt, prompt-major; without a tool a call stays unanswered.

        `rules` are those that `conversation.variant` may put into the system message. The same prompts, batch size and seed give the
        same rollouts.
        """
        opened = open_rollouts(self.tokenizer, list(prompts), samples, tool_for, conversation, rules)
        for _ in self._converse(opened, sampling, batch_size):
            progress.update("generate", sum(not one.open for one in opened), len(opened))
        return [one.rollout(self.tokenizer) for one in opened]

    @abstractmethod
    def _converse(self, opened: list[OpenRollout], sampling: Sampling, batch_size: int) -> Iterator[None]:
        """Continue every conversation to its end, yielding whenever some have advanced."""


def make_generator(checkpoint: str | Path, compute: ComputeConfig, revision: str | None = None) -> Generator:
    """Return a generator of the configured backend for that checkpoint; each backend is imported only where it is configured."""
    if compute.backend == "vllm":
        from ascl_core.generation.vllm import VllmGenerator

        return VllmGenerator(checkpoint, compute, revision)
    from ascl_core.generation.transformers import TransformersGenerator

    return TransformersGenerator(checkpoint, compute, revision)
