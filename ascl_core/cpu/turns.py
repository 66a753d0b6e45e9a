"""Sampling for TRL's tool loop: whole conversations with one cache, returned turn by turn as the loop asks for them.

The loop stays TRL's: it parses the turns, calls the tools and decides what each next turn continues. Where the conversation
continued with the same input here, the turn is there already; an unforeseen turn, such as the one after the error of a malformed
call, is sampled when it is asked for. Either way it depends on its input alone, so that rollouts have TRL's probabilities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from ascl_core.conversation.tool import Tool
from ascl_core.conversation.tool_loop import OpenConversation
from ascl_core.cpu.conversing import converse

_NEUTRAL = {"do_sample": True, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "use_cache": True}
_WITHOUT_EFFECT = {
    "max_length",
    "bos_token_id",
    "pad_token_id",
    "output_attentions",
    "output_hidden_states",
    "disable_compile",
    "transformers_version",
    "_from_model_config",
}
_TAKEN = {"max_new_tokens", "temperature", "eos_token_id"}


def samples_plainly(options: Any, defaults: Any) -> bool:
    """Return whether `generate` with these options, over the model's own defaults, draws from softmax(logits / temperature) alone.

    Both are `GenerationConfig`s.
    """
    merged = {**defaults.to_diff_dict(), **options.to_diff_dict()}
    return all(name in _TAKEN | _WITHOUT_EFFECT or (name, value) in _NEUTRAL.items() for name, value in merged.items())


class TurnSampler:
    """The turns of one batch of rollouts, drawn from torch's own random state."""

    def __init__(self, model: Any, tokenizer: Any, *, budget: int, max_tool_calls: int, ends: Collection[int], temperature: float) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.budget = budget
        self.max_tool_calls = max_tool_calls
        self.ends = ends
        self.temperature = temperature
        self._ahead: dict[tuple[int, ...], list[list[int]]] = defaultdict(list)
        """Turns that were not asked for yet, by their input."""

    def follow(self, inputs: Sequence[list[int]]) -> list[list[int]]:
        """Return the turn (token ids) that continues each input; one that is sampled only now has `budget` tokens at most."""
        turns = [ahead.pop(0) if (ahead := self._ahead.get(tuple(ids))) else None for ids in inputs]
        unforeseen = [ids for ids, turn in zip(inputs, turns, strict=True) if turn is None]
        sampled = iter(self.start(unforeseen, [None] * len(unforeseen)))
        return [next(sampled) if turn is None else turn for turn in turns]

    def start(self, inputs: Sequence[list[int]], tools: Sequence[Tool | None]) -> list[list[int]]:
        """Return the turn (token ids) that continues each input, and sample the turns after its look-ups with it.

        A rollout writes and reads `budget` tokens at most.
        """
        conversations = [
            OpenConversation(prompt_ids=ids, tool=tool, max_tool_calls=self.max_tool_calls) for ids, tool in zip(inputs, tools, strict=True)
        ]
        converse(
            self.model,
            self.tokenizer,
            conversations,
            room=lambda one: self.budget - len(one.completion_ids),
            ends=self.ends,
            temperature=self.temperature,
            generator=None,
        )
        for one in conversations:
            for turn in one.turns[1:]:
                self._ahead[tuple(one.prompt_ids + one.completion_ids[: turn.start])].append(one.completion_ids[turn])
        return [one.completion_ids[one.turns[0]] for one in conversations]
