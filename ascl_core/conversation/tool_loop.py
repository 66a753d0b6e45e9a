"""The tool loop without a backend: each conversation's next input, and its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt, Rollout
from ascl_core.conversation.formats import canonical_text, end_ids
from ascl_core.conversation.token_ids import prompt_ids, tool_suffix
from ascl_core.conversation.tool import Tool
from ascl_core.conversation.trajectory import read_calls
from ascl_core.conversation.variants import open_conversation
from ascl_core.rules.retrieval import RuleIndex


@dataclass(kw_only=True)
class OpenConversation:
    """One conversation while it is being sampled."""

    prompt_ids: list[int]
    tool: Tool | None
    max_tool_calls: int
    completion_ids: list[int] = field(default_factory=list)
    turns: list[slice] = field(default_factory=list)
    """The positions of the generated turns in the completion; the tokens between them are only read."""
    calls_made: int = 0
    finished: bool = False
    open: bool = True

    @property
    def input_ids(self) -> list[int]:
        """Prompt and completion so far, which the next turn continues."""
        return self.prompt_ids + self.completion_ids

    def take_turn(self, ids: list[int], tokenizer: Any) -> None:
        """Append one generated turn; answer its calls, or close the conversation."""
        start = len(self.completion_ids)
        self.turns.append(slice(start, start + len(ids)))
        self.completion_ids += ids
        self.finished = bool(ids) and ids[-1] in end_ids(tokenizer)
        calls = read_calls(canonical_text(tokenizer, tokenizer.decode(ids[:-1]))) if self.finished else []
        if not calls or self.tool is None or self.calls_made + len(calls) > self.max_tool_calls:
            self.open = False
            return
        self.calls_made += len(calls)
        self.completion_ids += tool_suffix(tokenizer, [self.tool(call.query, call.top_k, call.category) for call in calls])


@dataclass(kw_only=True)
class OpenRollout(OpenConversation):
    """The conversation of one sample of a prompt."""

    prompt: Prompt
    sample: int

    def rollout(self, tokenizer: Any) -> Rollout:
        """Return the finished conversation, in our own tags."""
        num_tokens = sum(turn.stop - turn.start for turn in self.turns)
        text = canonical_text(tokenizer, tokenizer.decode(self.completion_ids))
        return Rollout(self.prompt.id, self.sample, text, num_tokens, self.finished)


def open_rollouts(
    tokenizer: Any, prompts: list[Prompt], samples: int, tool_for: Any, conversation: ConversationConfig, rules: RuleIndex | None = None
) -> list[OpenRollout]:
    """Return one open conversation for each prompt and sample, prompt-major; some variants of the opening need the rules."""
    opened: list[OpenRollout] = []
    for prompt in prompts:
        ids = prompt_ids(tokenizer, open_conversation(prompt, conversation, rules), conversation)
        tool = tool_for(prompt) if tool_for is not None and conversation.offers_tool else None
        opened.extend(
            OpenRollout(prompt=prompt, sample=k, prompt_ids=ids, tool=tool, max_tool_calls=conversation.max_tool_calls)
            for k in range(samples)
        )
    return opened
