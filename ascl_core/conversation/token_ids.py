"""The token ids of what the model reads and does not write: the messages that open a conversation, and the results of the tool."""

from __future__ import annotations

from typing import Any

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Message
from ascl_core.conversation.content import markup_of, neutralise
from ascl_core.conversation.formats import end_ids, format_of, native, template_ids
from ascl_core.conversation.template import tool_turn
from ascl_core.conversation.tool import TOOL_NAME, tool_schema

_DEFAULT = ConversationConfig()


def prompt_ids(tokenizer: Any, messages: list[Message], conversation: ConversationConfig = _DEFAULT) -> list[int]:
    """Return token ids of the opening messages, ready for the first assistant turn; nothing in their content is markup.

    `conversation` says whether and how the tool is offered. Our own template describes it to an untrained model alone (the variants but
    `ascl`); a model's own template does so always. `ModelError` if the tool is offered, and the template's calls do not read back.
    """
    if conversation.offers_tool:
        format_of(tokenizer)
    neutral = native(neutralise(messages, tokenizer)[0], tokenizer)
    options: dict[str, Any] = {} if conversation.variant == "ascl" else {"describe_tools": True}
    options |= {"tools": offered_tools(conversation), "add_generation_prompt": True}
    return template_ids(tokenizer, neutral, **options)


def offered_tools(conversation: ConversationConfig) -> list[dict[str, Any]] | None:
    """Return the schemas that chat templates get."""
    return [tool_schema(conversation)] if conversation.offers_tool else None


def tool_suffix(tokenizer: Any, results: list[str]) -> list[int]:
    """Return token ids between the end of a calling turn and the start of the next: the results and the new turn's header.

    Nothing in the results is markup.
    """
    markup = markup_of(tokenizer)
    results = [markup.neutralise(result)[0] for result in results]
    call = {"type": "function", "function": {"name": TOOL_NAME, "arguments": {}}}
    before: list[Message] = [{"role": "user", "content": ""}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    whole = tokenizer.apply_chat_template([*before, *(tool_turn(result) for result in results)], add_generation_prompt=True, tokenize=False)
    after = whole[whole.index(TOOL_NAME) :]
    end = min((after.index(token), token) for token in tokenizer.convert_ids_to_tokens(list(end_ids(tokenizer))) if token in after)
    return list(tokenizer.encode(after[end[0] + len(end[1]) :], add_special_tokens=False))
