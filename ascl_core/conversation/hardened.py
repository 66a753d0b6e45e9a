"""A model's own chat template, hardened to break up control strings in content, for users who load the checkpoint elsewhere.

Our own template does so already. Any other one gets a prologue that replaces `messages`, and stays unchanged itself. Within this project
messages are neutralised before they are rendered (`ascl_core.conversation.content`), and the template is used without its prologue,
because TRL recognises templates by their text. A template finds only the exact spelling of control strings, and only in texts: content
that is a list of parts, and the arguments of tool calls, stay unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable

from ascl_core.conversation.template import jinja_list

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
    """Return the chat template (Jinja) with the prologue, replacing an earlier one.

    `control_strings` are those of the tokenizer, such as its added tokens; the longest are broken up first.
    """
    return _BEGIN + _PROLOGUE.replace("TAGS", jinja_list(control_strings)) + _END + without_prologue(template)


def without_prologue(template: str) -> str:
    """Return the model's own template."""
    return template.partition(_END)[2] if template.startswith(_BEGIN) else template
