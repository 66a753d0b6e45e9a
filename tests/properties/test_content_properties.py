"""Message content stays content: whatever it holds, the tokens around it are the same, in every template family."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trl
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.judge import JUDGES
from ascl_core.contracts import Message
from ascl_core.conversation.content import Markup, control_strings, markup_of, neutralise
from ascl_core.conversation.template import SPECIAL_TAGS, chat_template
from ascl_core.conversation.token_ids import prompt_ids, tool_suffix
from ascl_core.judges import Item
from tests.tiny_model import make_model

TEMPLATES = Path(trl.__file__).parent / "chat_templates"


@dataclass(frozen=True)
class Family:
    """A chat template, and the control tokens of the tokenizers that it is used with."""

    template: str | None
    tokens: tuple[str, ...]
    end: str


FAMILIES = {
    "ours": Family(None, ("<|endoftext|>", "<repo_name>"), "<|im_end|>"),
    "qwen3": Family("qwen3.jinja", ("<|endoftext|>", "<|vision_start|>"), "<|im_end|>"),
    "llama3": Family(
        "llama3_1.jinja", ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>"), "<|eot_id|>"
    ),
    "gpt-oss": Family(
        "gptoss.jinja", ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>", "<|return|>", "<|constrain|>"), "<|return|>"
    ),
    "gemma": Family("gemma.jinja", ("<bos>", "<start_of_turn>", "<end_of_turn>"), "<end_of_turn>"),
}
WITH_TOOLS = ("ours", "qwen3", "llama3")
TAGS = sorted({*SPECIAL_TAGS, *(token for family in FAMILIES.values() for token in family.tokens), "<tools>", "[INST]", "<｜User｜>"})
PIECES = [
    *TAGS,
    *(tag.upper() for tag in TAGS),
    *("＜think＞", "＜/tool_response＞", "<th\u200bink>", "<|im_\u00adend|>", "<\u2060tool_call>", "≮think>", "<think\ufe0f>"),
    *("<", "|", ">", "<|", "|>", "</", "think>", "<thi", "nk>", "<<think>", "tool_call", "\n", " ", '"', "\\u003c", "{", "}", "é", "日本"),
    "[CYB-01] comply: help",
]
hostile = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=8).map("".join)


@cache
def tokenizer_of(name: str) -> Any:
    """A small tokenizer with the control tokens of that family."""
    family = FAMILIES[name]
    tokenizer = make_model(["How do I kill a Python process? Use the kill command. "] * 20)[1]
    tokenizer.add_special_tokens({"additional_special_tokens": [*family.tokens]})
    tokenizer.bos_token = family.tokens[0]
    tokenizer.eos_token = family.end
    text = chat_template(control_strings(tokenizer)) if family.template is None else (TEMPLATES / family.template).read_text("utf-8")
    tokenizer.chat_template = text
    return tokenizer


def asked(content: str) -> list[Message]:
    return [{"role": "user", "content": content}, {"role": "assistant", "content": "Well."}, {"role": "user", "content": "Go on."}]


def answered(content: str) -> list[Message]:
    return [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": content}, {"role": "user", "content": "Go on."}]


def ordered(content: str) -> list[Message]:
    return [{"role": "system", "content": content}, {"role": "user", "content": "Go on."}]


def called(content: str) -> list[Message]:
    function = {"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": content}}
    call = {"type": "function", "function": function}
    return [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "", "tool_calls": [call]}]


def returned(content: str) -> list[Message]:
    return [*called("kill"), {"role": "tool", "name": "consult_safety_rules", "content": content}]


def borders(ids_of: Callable[[str], list[int]]) -> tuple[list[int], list[int]]:
    """The tokens before and behind the content, from two contents without a token in common."""
    one, other = ids_of("Aa"), ids_of("9zz9")
    before = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    behind = next(i for i, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b)
    return one[:before], one[len(one) - behind :]


def check(tokenizer: Any, ids_of: Callable[[str], list[int]], content: str) -> None:
    """The tokens around the content are those around any other, and none of the content's is a control token."""
    before, behind = borders(ids_of)
    ids = ids_of(content)
    assert ids[: len(before)] == before
    assert behind == [] or ids[-len(behind) :] == behind
    control = {tokenizer.convert_tokens_to_ids(token) for token in control_strings(tokenizer)}
    inside = ids[len(before) : len(ids) - len(behind)]
    assert not control & {*inside}, tokenizer.convert_ids_to_tokens(inside)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("form", [asked, answered, ordered])
@settings(deadline=None)
@given(content=hostile)
def test_the_tokens_around_a_message_do_not_depend_on_what_is_in_it(name: str, form: Callable[[str], list[Message]], content: str) -> None:
    if name == "gemma" and form is ordered:
        return  # its template has no system message
    tokenizer = tokenizer_of(name)
    conversation = ConversationConfig(variant="ascl" if name in WITH_TOOLS else "pure")
    text = f"x{content}x"  # templates strip or fold white space at the ends
    check(tokenizer, lambda one: prompt_ids(tokenizer, form(f"x{one}x" if one != text else text), conversation), text)


@pytest.mark.parametrize("name", WITH_TOOLS)
@pytest.mark.parametrize("form", [called, returned])
@settings(deadline=None)
@given(content=hostile)
def test_the_tokens_around_calls_and_results_do_not_depend_on_them(name: str, form: Callable[[str], list[Message]], content: str) -> None:
    tokenizer = tokenizer_of(name)
    text = f"x{content}x"
    check(tokenizer, lambda one: prompt_ids(tokenizer, form(f"x{one}x" if one != text else text)), text)


@settings(deadline=None)
@given(content=hostile)
def test_the_tokens_around_the_tool_s_answer_do_not_depend_on_it(content: str) -> None:
    tokenizer, text = tokenizer_of("ours"), f"x{content}x"
    check(tokenizer, lambda one: tool_suffix(tokenizer, [f"x{one}x" if one != text else text]), text)


@pytest.mark.parametrize("guard", ["qwen3guard", "wildguard"])
@settings(deadline=None)
@given(content=hostile)
def test_the_tokens_around_what_is_judged_do_not_depend_on_it(guard: str, content: str) -> None:
    tokenizer, text = tokenizer_of("ours"), f"x{content}x"

    def ids_of(response: str) -> list[int]:
        return JUDGES.load(guard).input_ids(Item("Hi.", f"x{response}x" if response != text else text), tokenizer)

    check(tokenizer, ids_of, text)


@settings(deadline=None)
@given(content=hostile)
def test_doing_it_twice_changes_nothing_and_only_spaces_are_added(content: str) -> None:
    markup = markup_of(tokenizer_of("ours"))
    once, found = markup.neutralise(content)
    assert markup.neutralise(once) == (once, 0)
    assert once.replace(" ", "") == content.replace(" ", "")
    assert (found == 0) == (once == content)


@settings(deadline=None)
@given(content=st.text(alphabet=st.characters(exclude_characters="<[＜﹤≮［", exclude_categories=["Cs"])))
def test_content_without_tags_comes_back_as_it_is(content: str) -> None:
    messages = [*asked(content), *called(content), *returned(content)]
    assert neutralise(messages, tokenizer_of("llama3")) == (messages, 0)


@pytest.mark.parametrize("text", ["a < b and c > d", "if (x<y) {", "<b>bold</b>", "List<|>", "a [1] b [x]", "cat <file | sort >out"])
def test_ordinary_code_is_not_touched(text: str) -> None:
    assert Markup().neutralise(text) == (text, 0)


@settings(deadline=None)
@given(content=hostile)
def test_the_template_alone_lets_no_tag_through_that_is_spelt_as_it_is(content: str) -> None:
    """Whoever loads a checkpoint and renders messages without this project's code."""
    tokenizer, text = tokenizer_of("ours"), f"x{content}x"
    for form in (asked, answered, ordered, called, returned):

        def ids_of(one: str, form: Callable[[str], list[Message]] = form) -> list[int]:
            messages = form(f"x{one}x" if one != text else text)
            return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))

        check(tokenizer, ids_of, text)


def test_arguments_are_neutralised_as_they_are_read_and_stay_json() -> None:
    hidden = json.dumps({"category": "CYB", "query": "a </tool_call>"}).replace("</", "\\u003c/")
    call = {"type": "function", "function": {"name": "f", "arguments": hidden}}
    [message], found = neutralise([{"role": "assistant", "content": "", "tool_calls": [call]}])
    assert (json.loads(message["tool_calls"][0]["function"]["arguments"])["query"], found) == ("a < /tool_call>", 1)


def test_a_tag_that_two_parts_make_together_is_broken_up() -> None:
    parts = [{"type": "text", "text": "a <thi"}, {"type": "text", "text": "nk> b"}]
    [message], found = neutralise([{"role": "user", "content": parts}])
    assert ("".join(part["text"] for part in message["content"]), found) == ("a < think> b", 1)


def test_what_breaking_up_uncovers_is_broken_up_too() -> None:
    assert Markup(["<SYS>", "<<SYS>>"]).neutralise("<<SYS>> <SYS>") == ("< < SYS>> < SYS>", 2)


def test_the_system_message_of_training_is_left_alone() -> None:
    assert Markup().neutralise(ConversationConfig().system_prompt)[1] == 0
