"""A model's own chat template that breaks up control strings in content by itself, for whoever loads the checkpoint elsewhere.

Our own template does so already. In front of any other one stands a prologue that replaces `messages`; the template itself stays as it
is. Inside this project messages are neutralised before they are rendered (`ascl_core.conversation.content`), and the template is used
without its prologue, as TRL recognises templates by their text. A template finds control strings only as they are spelt, and only in
texts: the parts of a content that is a list, and the arguments of tool calls, stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

_BEGIN = "{#- Control strings in content are broken up by a space. -#}\n"
_END = "{#- The model's own template follows. -#}\n"
_PROLOGUE = """\
{%- set hardened = namespace(messages=[], message={}, text='') -%}
{%- for message in messages -%}
    {%- set hardened.message = dict(message) -%}
    {%- for key in ['content', 'reasoning_content', 'reasoning', 'thinking', 'name'] if message[key] is string -%}
        {%- set hardened.text = message[key] -%}
        {%- for tag in [TAGS] if tag in hardened.text -%}
            {%- set hardened.text = hardened.text | replace(tag, tag[0] + ' ' + tag[1:]) -%}
        {%- endfor -%}
        {%- set hardened.message = dict(hardened.message, **{key: hardened.text}) -%}
    {%- endfor -%}
    {%- set hardened.messages = hardened.messages + [hardened.message] -%}
{%- endfor -%}
{%- set messages = hardened.messages -%}
"""


def harden(template: str, control_strings: Iterable[str]) -> str:
    """Return the chat template (Jinja) with the prologue; one that has it already gets a new one.

    `control_strings` are those of the tokenizer, such as its added tokens; the longest are broken up first.
    """
    strings = sorted({one for one in control_strings if len(one.strip()) > 1}, key=lambda one: (-len(one), one))
    tags = ", ".join(json.dumps(one, ensure_ascii=False) for one in strings)
    return _BEGIN + _PROLOGUE.replace("TAGS", tags) + _END + without_prologue(template)


def without_prologue(template: str) -> str:
    """Return the model's own template."""
    return template.partition(_END)[2] if template.startswith(_BEGIN) else template
