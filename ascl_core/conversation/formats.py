"""How families of models write thoughts, calls, results and the end of a turn, and how that reads in the project's own tags.

A model is trained and sampled in the format of its chat template. Everything that reads a conversation (facts, rewards, reports, serving)
reads one form: the tags of `ascl_core.conversation.template`. `canonical_text` translates generated text into it, `native` a trajectory's
messages into what the template renders. A template's format is recognised by what it renders, not by its text, so that a comment more in
it changes nothing.

| format | families | a call |
|---|---|---|
| `hermes` | Qwen2.5, Qwen3, this project | `<tool_call>{"name": …, "arguments": {…}}</tool_call>` |
| `xml` | Qwen3.5 and later | `<tool_call><function=…><parameter=…>…</parameter></function></tool_call>` |
| `llama` | Llama 3.1, 3.2 | `{"name": …, "parameters": {…}}`, one a turn |
| `harmony` | gpt-oss | ` to=functions.…<|channel|>commentary json<|message|>{…}<|call|>`, one a turn |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, Literal

from ascl_core.contracts import Message, ToolCall
from ascl_core.conversation.template import (
    CALL,
    END,
    END_CALL,
    END_RESPONSE,
    END_THINK,
    RESPONSE,
    START,
    THINK,
    answering_turn,
    consulting_turn,
    tool_turn,
)
from ascl_core.conversation.tool import INTEGER_ARGUMENTS, TOOL_NAME
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import ModelError
from ascl_core.text import encodable

SUPPORTED = "Qwen2.5, Qwen3, Qwen3-2507, Qwen3.5, Llama 3.1 and gpt-oss"
"""The families whose tool templates are tested."""
_EOS = "<|end of text|>"
"""Stands for the tokenizer's own end token while a template is examined."""
_CONTROL = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]|<\|end of text\|>")
_PART_OF_TAG = re.compile(r"<[^<>]*\Z")
_CALL_MARK, _ANSWER_MARK, _THOUGHT_MARK = "kqzfind", "kqzanswer", "kqzthought"
_USER: Message = {"role": "user", "content": "Hello."}


@dataclass(frozen=True)
class Format:
    """A way to write turns."""

    name: Literal["hermes", "xml", "llama", "harmony"]
    read: Callable[[str], str]
    """Returns a completion in our own tags."""
    streams: bool = False
    """Whether a part of a turn reads in our own tags, too."""
    thought_end: str = END_THINK
    """The text right before an answer that follows a thought."""


def format_of(tokenizer: Any) -> Format:
    """Return the format in which the tokenizer's template writes calls; `ModelError` if it writes them in none that can be read."""
    found = _format_of(_template(tokenizer))
    if found is None:
        problem = "its chat template has no tool calls, or writes them in a form that does not read back"
        hint = f"take a model of another family ({SUPPORTED}), or import it with the stage base_model"
        raise ModelError(problem, field="chat_template", value=template_name(tokenizer), hint=hint)
    return found


def canonical_text(tokenizer: Any, text: str) -> str:
    """Return generated text (one or more turns, with results between them) in our own tags; a thought that the prompt opened is opened."""
    return read_format(tokenizer).read(opened_thought(tokenizer) + text)


def read_format(tokenizer: Any) -> Format:
    """Return the format in which generated text is read: our own where the template writes calls in none that can be read."""
    return _format_of(_template(tokenizer)) or HERMES


def opened_thought(tokenizer: Any) -> str:
    """Return the tag with which the template opens the thought of a turn that is to be generated, or nothing."""
    return _opened_thought(_template(tokenizer))


def end_ids(tokenizer: Any) -> frozenset[int]:
    """Return the ids that end a turn: the tokenizer's end token, and those with which its template closes an answer and a call."""
    known = (tokenizer.convert_tokens_to_ids(token) for token in _ends(_template(tokenizer)) if token != _EOS)
    return frozenset([tokenizer.eos_token_id, *(one for one in known if one is not None and one != tokenizer.unk_token_id)])


def end_of_answer(tokenizer: Any) -> str | None:
    """Return the control string with which the template closes an answer; None where it closes it with the end token, or not at all."""
    ends = _ends(_template(tokenizer))
    return ends[0] if ends and ends[0] != _EOS else None


def template_ids(tokenizer: Any, messages: Sequence[Message], **options: Any) -> list[int]:
    """Return the token ids of messages in the tokenizer's chat template; `ModelError` where the template refuses them."""
    from jinja2 import TemplateError

    try:
        return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options))
    except (TemplateError, TypeError, ValueError) as error:
        problem = f"its chat template refuses the messages: {str(error)[:200]}"
        hint = "take a model whose template renders what is asked of it, such as a system message or calls"
        raise ModelError(problem, field="chat_template", value=template_name(tokenizer), hint=hint) from error


def native(messages: Sequence[Message], tokenizer: Any) -> list[Message]:
    """Return a trajectory's messages as the tokenizer's template renders them: arguments as objects, thoughts where it shows them.

    A template that shows no thoughts gets them in our own tags at the beginning of the content.
    """
    key = _thought_key(_template(tokenizer))
    return [_with_thought(with_objects(message), key) for message in messages]


def with_objects(message: Message) -> Message:
    """Return the message with tool arguments as objects, which every chat template can render."""
    calls = message.get("tool_calls")
    if not calls:
        return {name: value for name, value in message.items() if name != "tool_calls"}
    functions = [dict(call.get("function", call)) for call in calls]
    for function in functions:
        if isinstance(function["arguments"], str):
            function["arguments"] = json.loads(function["arguments"])
    return {**message, "tool_calls": [{"type": "function", "function": function} for function in functions]}


def template_name(tokenizer: Any) -> str:
    """Return the name under which TRL ships the tokenizer's chat template, or its first line."""
    template = _template(tokenizer)
    with suppress(ImportError):  # a server needs no trainer
        import trl.chat_template_utils as known

        for name, text in vars(known).items():
            if text == template and name.endswith("_chat_template"):
                return name.removesuffix("_chat_template")
    return (template.strip().splitlines() or ["none"])[0][:60]


def _template(tokenizer: Any) -> str:
    template = tokenizer.chat_template
    return str(template.get("default", "") if isinstance(template, dict) else template or "")


def _with_thought(message: Message, key: str | None) -> Message:
    thought = message.get("reasoning_content")
    rest = {name: value for name, value in message.items() if name != "reasoning_content"}
    if not isinstance(thought, str):
        return rest
    if key is not None:
        return {**rest, key: thought}
    return {**rest, "content": f"{THINK}\n{thought.strip()}\n{END_THINK}\n\n{message.get('content') or ''}"}


def _render(template: str, messages: Sequence[Message], **options: Any) -> str:
    """Return the rendered text; nothing where the template refuses the messages."""
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    tokens: dict[str, Any] = {"bos_token": "", "eos_token": _EOS}
    try:
        return str(render_jinja_template(conversations=[list(messages)], chat_template=template, **tokens, **options)[0][0])
    except (TemplateError, TypeError, ValueError, AttributeError, KeyError):
        return ""


@lru_cache(maxsize=64)
def _format_of(template: str) -> Format | None:
    """Return the format in which a rendered call and its result read back."""
    call = ToolCall(_CALL_MARK, category="CYB")
    made = [with_objects(consulting_turn("", call)), tool_turn("[CYB-01] comply: It helps."), answering_turn("", _ANSWER_MARK)]
    turns = [{name: value for name, value in one.items() if name != "reasoning_content"} for one in made]
    prompt, whole = _render(template, [_USER], add_generation_prompt=True), _render(template, [_USER, *turns])
    common = _PART_OF_TAG.sub("", prompt[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, whole, strict=False)))])
    if not common or _CALL_MARK not in whole:
        return None
    for one in (HERMES, XML, LLAMA, HARMONY):
        facts = read_rollout(one.read((THINK if _opens_thought(common) else "") + whole[len(common) :]), finished=True)
        if facts.valid and (facts.calls, facts.consulted, facts.answer) == ((call,), ("CYB-01",), _ANSWER_MARK):
            return one
    return None


def _opens_thought(prompt: str) -> bool:
    return prompt.rfind(THINK) > prompt.rfind(END_THINK)


@lru_cache(maxsize=64)
def _opened_thought(template: str) -> str:
    prompt = _render(template, [_USER], add_generation_prompt=True)
    return prompt[prompt.rfind(THINK) :] if _opens_thought(prompt) else ""


@lru_cache(maxsize=64)
def _ends(template: str) -> tuple[str, ...]:
    """Return the control strings that close an answer and, where calls read back, a call."""
    answer = _render(template, [_USER, {"role": "assistant", "content": _ANSWER_MARK}]).partition(_ANSWER_MARK)[2]
    closed = _CONTROL.match(answer.lstrip())
    ends = [closed[0]] if closed else []
    if _format_of(template) is not None:
        call = _render(template, [_USER, with_objects(consulting_turn("", ToolCall(_CALL_MARK)))]).rpartition(_CALL_MARK)[2]
        ends += _CONTROL.findall(call)[-1:]
    return tuple(dict.fromkeys(ends))


@lru_cache(maxsize=64)
def _thought_key(template: str) -> str | None:
    """Return the key of a message under which the template shows a thought, beside answers and calls."""
    for key in ("reasoning_content", "thinking"):
        shown = _render(template, [_USER, {"role": "assistant", "content": _ANSWER_MARK, key: _THOUGHT_MARK}])
        if _THOUGHT_MARK in shown:
            return key
    return None


_XML_CALL = re.compile(rf"{CALL}\s*<function=([^>\n]+)>(.*?)</function>\s*{END_CALL}", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"-?\d{1,9}")


def _read_xml(text: str) -> str:
    def typed(name: str, value: str) -> str | int:
        return int(value) if name in INTEGER_ARGUMENTS and _WHOLE_NUMBER.fullmatch(value) else value

    def call(match: re.Match[str]) -> str:
        values = {name: typed(name, value) for name, value in _PARAMETER.findall(match[2])}
        return _call(match[1], json.dumps(values, ensure_ascii=False))

    return _XML_CALL.sub(call, text)


_LLAMA_RESULTS = re.compile(
    r"<\|eot_id\|>((?:<\|start_header_id\|>ipython<\|end_header_id\|>\n\n.*?<\|eot_id\|>)+)<\|start_header_id\|>assistant<\|end_header_id\|>\n\n",
    re.DOTALL,
)
_LLAMA_CALL = re.compile(r'(?:<\|python_tag\|>)?\{\s*"name"\s*:\s*"([^"]*)"\s*,\s*"parameters"\s*:\s*(.*)\}\s*', re.DOTALL)


def _read_llama(text: str) -> str:
    return _rejoin(text, _LLAMA_RESULTS, re.compile(r"<\|end_header_id\|>\n\n(.*?)<\|eot_id\|>", re.DOTALL), _llama_turn)


def _llama_turn(turn: str) -> str:
    turn, ended = _without_end(turn, "<|eot_id|>", "<|eom_id|>")
    thought, closed, rest = turn.rpartition(END_THINK)
    if match := _LLAMA_CALL.fullmatch(rest.strip()):
        rest = "\n\n" * bool(closed) + _call(match[1], match[2])
    elif rest.lstrip().startswith("{") and TOOL_NAME in rest:
        rest = f"{CALL}{rest}{END_CALL}"  # a call that is not well formed is no answer
    return thought + closed + rest + ended


_HARMONY_RESULTS = re.compile(
    r"<\|call\|>((?:<\|start\|>functions\.\S+ to=assistant<\|channel\|>commentary<\|message\|>.*?<\|end\|>)+)<\|start\|>assistant",
    re.DOTALL,
)
_HARMONY_PART = re.compile(
    r"(?: to=(?P<to>[\w.]+))?<\|channel\|>(?P<channel>analysis|commentary|final)(?: to=(?P<late>[\w.]+))?\s*(?:<\|constrain\|>)?(?:json)?"
    r"<\|message\|>(?P<body>.*)",
    re.DOTALL,
)


def _read_harmony(text: str) -> str:
    return _rejoin(text, _HARMONY_RESULTS, re.compile(r"<\|message\|>(.*?)<\|end\|>", re.DOTALL), _harmony_turn)


def _harmony_turn(turn: str) -> str:
    """Return the turn; a part in an unknown form is marked with a stray tag, so that the turn is malformed."""
    turn, ended = _without_end(turn, "<|call|>", "<|return|>", "<|end|>")
    thoughts, rest = [], ""
    for part in turn.split("<|end|><|start|>assistant"):
        match = _HARMONY_PART.fullmatch(part)
        to = (match["to"] or match["late"]) if match else None
        if match is None or "<|" in match["body"]:
            rest += f"{START}{part}"
        elif to is not None:
            rest += _call(to.removeprefix("functions."), match["body"])
        elif match["channel"] == "analysis":
            thoughts.append(match["body"].strip())
        else:
            rest += match["body"]
    thought = f"{THINK}\n" + "\n".join(thoughts) + f"\n{END_THINK}\n\n" if thoughts else ""
    return thought + rest + ended


def _rejoin(text: str, between: re.Pattern[str], result: re.Pattern[str], read_turn: Callable[[str], str]) -> str:
    """Return turns and results (JSON strings, by turn) in our own tags."""
    parts = between.split(text)
    joined = read_turn(parts[0])
    for block, turn in zip(parts[1::2], parts[2::2], strict=True):
        results = "".join(f"\n{RESPONSE}\n{_unquoted(one)}\n{END_RESPONSE}" for one in result.findall(block))
        joined += f"{END}\n{START}user{results}{END}\n{START}assistant\n{read_turn(turn)}"
    return joined


def _without_end(turn: str, *ends: str) -> tuple[str, str]:
    """Return the turn without its end token, and our own end tag where it had one."""
    end = next((one for one in ends if turn.endswith(one)), None)
    return (turn, "") if end is None else (turn.removesuffix(end), END)


def _call(name: str, arguments: str) -> str:
    return f'{CALL}\n{{"name": {json.dumps(name)}, "arguments": {arguments}}}\n{END_CALL}'


def _unquoted(result: str) -> str:
    try:
        value = json.loads(result)
    except (ValueError, RecursionError):
        return result
    return encodable(value) if isinstance(value, str) else result


HERMES = Format("hermes", lambda text: text, streams=True)
XML = Format("xml", _read_xml)
LLAMA = Format("llama", _read_llama)
HARMONY = Format("harmony", _read_harmony, thought_end="<|message|>")
