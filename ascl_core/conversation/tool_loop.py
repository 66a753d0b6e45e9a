"""The tool loop without a backend: each conversation's next input, and its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Message, Prompt, Rollout
from ascl_core.conversation.content import markup_of, neutralise
from ascl_core.conversation.template import RESPONSE, tool_turn
from ascl_core.conversation.tool import TOOL_NAME, Tool, tool_schema
from ascl_core.conversation.trajectory import read_calls
from ascl_core.conversation.variants import open_conversation
from ascl_core.rules.retrieval import RuleIndex

_DEFAULT = ConversationConfig()


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
        self.finished = bool(ids) and ids[-1] == tokenizer.eos_token_id
        calls = read_calls(tokenizer.decode(ids[:-1])) if self.finished else []
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
        """Return the finished conversation."""
        num_tokens = sum(turn.stop - turn.start for turn in self.turns)
        return Rollout(self.prompt.id, self.sample, tokenizer.decode(self.completion_ids), num_tokens, self.finished)


def prompt_ids(tokenizer: Any, messages: list[Message], conversation: ConversationConfig = _DEFAULT) -> list[int]:
    """Return token ids of the opening messages, ready for the first assistant turn; nothing in their content is markup.

    `conversation` says whether and how the tool is offered. Our own template describes it to an untrained model alone (the variants but
    `ascl`); a model's own template does so always.
    """
    neutral, _ = neutralise(messages, tokenizer)
    tools = [tool_schema(conversation)] if conversation.offers_tool else None
    options: dict[str, Any] = {} if conversation.variant == "ascl" else {"describe_tools": True}
    ids = tokenizer.apply_chat_template(neutral, tools=tools, add_generation_prompt=True, tokenize=True, return_dict=False, **options)
    return list(ids)


def tool_suffix(tokenizer: Any, results: list[str]) -> list[int]:
    """Return token ids between the end of a calling turn and the start of the next: the results and the new turn's header.

    Nothing in the results is markup.
    """
    markup = markup_of(tokenizer)
    results = [markup.neutralise(result)[0] for result in results]
    call = {"type": "function", "function": {"name": TOOL_NAME, "arguments": {}}}
    before: list[Message] = [{"role": "user", "content": ""}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    whole = tokenizer.apply_chat_template([*before, *(tool_turn(result) for result in results)], add_generation_prompt=True, tokenize=False)
    start = whole.rindex(RESPONSE) if len(results) == 1 else whole.index(RESPONSE)
    header = whole.rindex(tokenizer.eos_token, 0, start)
    return list(tokenizer.encode(whole[header + len(tokenizer.eos_token) :], add_special_tokens=False))


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
