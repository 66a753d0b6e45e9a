"""The chat template, and the messages that open a conversation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Message, Prompt, ToolCall
from ascl_core.conversation.tool import TOOL_NAME

THINK, END_THINK = "<think>", "</think>"
CALL, END_CALL = "<tool_call>", "</tool_call>"
RESPONSE, END_RESPONSE = "<tool_response>", "</tool_response>"
START, END = "<|im_start|>", "<|im_end|>"
SPECIAL_TAGS = (START, END, THINK, END_THINK, CALL, END_CALL, RESPONSE, END_RESPONSE)
"""The tags that are single tokens where the tokenizer is ours."""
_LAST_TAG = f"'{END_RESPONSE}'"
"""The last entry of the template's list of tags, after which other control strings are inserted."""


def chat_template(control_strings: Iterable[str] = ()) -> str:
    """Return our own ChatML template (Jinja), for a tokenizer whose template has no tools.

    It breaks up our tags in content, and `control_strings`, the added tokens of that tokenizer. Unlike
    `ascl_core.conversation.content` it finds only their exact spelling, as Jinja has neither patterns nor Unicode folding.
    """
    template = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
    others = jinja_list(set(control_strings) - {*SPECIAL_TAGS})
    return template.replace(_LAST_TAG, f"{_LAST_TAG}, {others}", 1) if others else template


def jinja_list(control_strings: Iterable[str]) -> str:
    """Return the control strings as items of a list in Jinja, the longest first; single characters steer nothing and are left out."""
    strings = sorted({one for one in control_strings if len(one.strip()) > 1}, key=lambda one: (-len(one), one))
    return ", ".join(json.dumps(one, ensure_ascii=False) for one in strings)


def opening(prompt: Prompt, config: ConversationConfig) -> list[Message]:
    """Return system and user message, which never contain the rules or the jurisdiction."""
    return [{"role": "system", "content": config.system_prompt}, {"role": "user", "content": prompt.prompt}]


def consulting_turn(thought: str, call: ToolCall) -> Message:
    """Return an assistant turn that thinks and calls the tool; arguments are a JSON string, as Arrow would unify objects."""
    function = {"name": TOOL_NAME, "arguments": json.dumps(call.arguments)}
    return {"role": "assistant", "reasoning_content": thought, "content": "", "tool_calls": [{"type": "function", "function": function}]}


def tool_turn(result: str) -> Message:
    """Return the turn with the result of the tool."""
    return {"role": "tool", "name": TOOL_NAME, "content": result}


def answering_turn(thought: str, answer: str) -> Message:
    """Return an assistant turn that thinks and answers."""
    return {"role": "assistant", "reasoning_content": thought, "content": answer}


def render(messages: Sequence[Message]) -> str:
    """Render the conversation in our own template."""
    from transformers.utils.chat_template_utils import render_jinja_template

    return str(render_jinja_template(conversations=[list(messages)], chat_template=chat_template())[0][0])


def completion_text(messages: Sequence[Message], prompt_length: int = 2) -> str:
    """Return the part of a rendered conversation that a rollout generates: everything from the first assistant turn on."""
    before = render(messages[:prompt_length])
    return render(messages)[len(before) :].removeprefix(f"{START}assistant\n").removesuffix("\n")
