"""Prologues of chat templates, for users who load a checkpoint elsewhere: against control strings in content, and to open as in training.

Our own template does so already. Any other one gets a prologue that replaces `messages`, and stays unchanged itself. Within this project
messages are neutralised before they are rendered (`ascl_core.conversation.content`), and the template is used without its prologue,
because TRL recognises templates by their text. A template finds only the exact spelling of control strings. It cleans texts and the text
parts of a content that is a list (joined, if a control string is in them); the arguments of tool calls stay unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ascl_core.conversation.template import jinja_list

_BEGIN = "{#- Control strings in content are broken up by a space. -#}\n"
_END = "{#- The model's own template follows. -#}\n"
_PROLOGUE = """\
{%- macro hardened_text(text) -%}
    {%- set broken = namespace(text=text) -%}
    {%- for tag in [TAGS] if tag in broken.text -%}
        {%- set broken.text = broken.text | replace(tag, tag[0] + ' ' + tag[1:]) -%}
    {%- endfor -%}
    {{- broken.text -}}
{%- endmacro -%}
{%- set hardened = namespace(messages=[], message={}, parts=[], texts='', others=false) -%}
{%- for message in messages -%}
    {%- set hardened.message = dict(message) -%}
    {%- for key in ['content', 'reasoning_content', 'reasoning', 'thinking', 'name'] if message[key] is string -%}
        {%- set hardened.message = dict(hardened.message, **{key: hardened_text(message[key])}) -%}
    {%- endfor -%}
    {%- if message.content and message.content is not string and message.content is not mapping -%}
        {%- set hardened.parts = [] -%}
        {%- set hardened.texts = '' -%}
        {%- set hardened.others = false -%}
        {%- for part in message.content -%}
            {%- if part is string -%}
                {%- set hardened.parts = hardened.parts + [hardened_text(part)] -%}
                {%- set hardened.texts = hardened.texts + part -%}
            {%- elif part.text is string -%}
                {%- set hardened.parts = hardened.parts + [dict(part, text=hardened_text(part.text))] -%}
                {%- set hardened.texts = hardened.texts + part.text -%}
            {%- else -%}
                {%- set hardened.parts = hardened.parts + [part] -%}
                {%- set hardened.others = true -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if not hardened.others and hardened_text(hardened.texts) != hardened.texts -%}
            {%- set hardened.parts = [{'type': 'text', 'text': hardened_text(hardened.texts)}] -%}
        {%- endif -%}
        {%- set hardened.message = dict(hardened.message, content=hardened.parts) -%}
    {%- endif -%}
    {%- set hardened.messages = hardened.messages + [hardened.message] -%}
{%- endfor -%}
{%- set messages = hardened.messages -%}
"""


_OPENING_BEGIN = "{#- A conversation without a system message gets that of training. -#}\n"
_OPENING = """\
{%- if not messages or messages[0].role not in ['system', 'developer'] -%}
    {%- set messages = [{'role': 'system', 'content': SYSTEM}] + (messages | list) -%}
{%- endif -%}
{%- set described = namespace(tools=describe_tools | default(false)) -%}
{%- for tool in tools or [] if tool.function.name != TOOL -%}{%- set described.tools = true -%}{%- endfor -%}
{%- set describe_tools = described.tools -%}
"""


def with_opening(template: str, system: str, tool: str) -> str:
    """Return the chat template (Jinja) with the system message of training where a conversation has none.

    The message names the trained `tool`; if others are offered, our own template describes all of them.
    """
    opening = _OPENING.replace("TOOL", json.dumps(tool)).replace("SYSTEM", json.dumps(system, ensure_ascii=False))
    return _OPENING_BEGIN + opening + (template if template.startswith(_BEGIN) else _END + template)


def harden(template: str, control_strings: Iterable[str]) -> str:
    """Return the chat template (Jinja) with the prologue, replacing an earlier one.

    `control_strings` are those of the tokenizer, such as its added tokens; the longest are broken up first.
    """
    return _BEGIN + _PROLOGUE.replace("TAGS", jinja_list(control_strings)) + _END + without_prologue(template)


def without_prologue(template: str) -> str:
    """Return the model's own template."""
    return template.partition(_END)[2] if template.startswith((_BEGIN, _OPENING_BEGIN)) else template
