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
"""As it stands in the template's list of tags, which other control strings follow."""


def chat_template(control_strings: Iterable[str] = ()) -> str:
    """Our own ChatML template (Jinja), for a tokenizer whose template has no tools.

    It breaks up our tags where they stand in content, and `control_strings`: the added tokens of that tokenizer. Unlike
    `ascl_core.conversation.content` it finds them only as they are spelt, as Jinja has neither patterns nor Unicode folding.
    """
    template = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
    others = sorted({one for one in control_strings if len(one.strip()) > 1} - {*SPECIAL_TAGS}, key=lambda one: (-len(one), one))
    if not others:
        return template
    return template.replace(_LAST_TAG, ", ".join([_LAST_TAG, *(json.dumps(one, ensure_ascii=False) for one in others)]), 1)


def opening(prompt: Prompt, config: ConversationConfig) -> list[Message]:
    """System and user message; the rules and the jurisdiction are never among them."""
    return [{"role": "system", "content": config.system_prompt}, {"role": "user", "content": prompt.prompt}]


def consulting_turn(thought: str, call: ToolCall) -> Message:
    """An assistant turn that thinks and calls the tool; arguments are a JSON string, or Arrow would unify them."""
    function = {"name": TOOL_NAME, "arguments": json.dumps(call.arguments)}
    return {"role": "assistant", "reasoning_content": thought, "content": "", "tool_calls": [{"type": "function", "function": function}]}


def tool_turn(result: str) -> Message:
    """What the tool returned."""
    return {"role": "tool", "name": TOOL_NAME, "content": result}


def answering_turn(thought: str, answer: str) -> Message:
    """An assistant turn that thinks and answers."""
    return {"role": "assistant", "reasoning_content": thought, "content": answer}


def render(messages: Sequence[Message]) -> str:
    """The conversation in our own template, as text: what a tokenizer of ours would see."""
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered = render_jinja_template(conversations=[list(messages)], chat_template=chat_template())[0]
    return str(rendered[0])


def completion_text(messages: Sequence[Message], prompt_length: int = 2) -> str:
    """The part of a rendered conversation that a rollout would hold: from the first assistant turn on."""
    whole = render(messages)
    before = render(messages[:prompt_length])
    return whole[len(before) :].removeprefix(f"{START}assistant\n").removesuffix("\n")
