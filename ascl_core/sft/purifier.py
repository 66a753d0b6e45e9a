"""The purifier: a second chat model makes minimal edits to ASCL's trajectories, and code checks every one of them (paper, section 4.1).

It sees the thoughts and the answer of an accepted trajectory and returns them edited; it never changes the opening, the calls
or what the tool returned. A trajectory whose edit fails a check is rejected with the reason.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ascl_core.artifacts import sha256_json, to_json
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.chat import PurifierConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.contracts import Message, StageContext
from ascl_core.judges import Item, Judge
from ascl_core.sft.acceptance import Draft, Rejected, facts_of, stray_tag
from ascl_core.sft.batches import Assistant
from ascl_core.sft.replies import read_object
from ascl_core.sft.texts import TEXTS
from ascl_core.vocabulary import RULE_ID

_VERSION = 1
_INSTRUCTION = TEXTS["purifier"]
_RULE_ID = re.compile(rf"\b{RULE_ID}\b")
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_QUOTED_WORDS = 6
"""This many consecutive words of a look-up's result are a quotation of it."""
_SENTENCE_WORDS = 4
"""Shorter sentences may recur."""


class Purifier:
    """Edits trajectories, in batches that are kept."""

    def __init__(self, chat: PurifierConfig, config: BuildSftConfig, judge: Judge, compute: ComputeConfig, context: StageContext) -> None:
        self.judge = judge
        self.max_edit = chat.max_edit
        self.assistant = Assistant(f"purifier@{_VERSION}", chat, config, compute, context)
        self.progress = context.progress

    def purify(self, drafts: Sequence[Draft]) -> tuple[list[Draft], list[Rejected]]:
        """Return the drafts with their edits, and those whose edit fails a check, each with the reason."""
        replies = self.assistant.replies(
            drafts,
            lambda draft: _conversation(draft[1]),
            key=lambda draft: [draft[0].id, draft[1]],
            seed=lambda draft: ("purify", draft[0].id, sha256_json(draft[1])),
            inputs=[_INSTRUCTION],
        )
        edited: list[tuple[Draft, Draft]] = []
        rejected: list[Rejected] = []
        for draft, reply in zip(drafts, self.progress.track(replies, "purify", len(drafts)), strict=True):
            messages = _edited(draft[1], reply)
            problem = "the reply cannot be read" if messages is None else find_problem(draft[1], messages, self.max_edit)
            if problem is not None or messages is None:
                rejected.append((draft, f"purifier: {problem}"))
            else:
                edited.append((draft, (draft[0], messages)))
        kept, turned = self._with_the_same_verdict(edited)
        return kept, rejected + turned

    def _with_the_same_verdict(self, edited: Sequence[tuple[Draft, Draft]]) -> tuple[list[Draft], list[Rejected]]:
        before, after = ([_item(pair[side]) for pair in edited] for side in (0, 1))
        kept: list[Draft] = []
        rejected: list[Rejected] = []
        for (old, new), was, now in zip(edited, self.judge.judge(before), self.judge.judge(after), strict=True):
            if (was.refusal, was.harm) == (now.refusal, now.harm):
                kept.append(new)
            else:
                rejected.append((old, f"purifier: the verdict turned from {was.refusal} to {now.refusal}"))
        return kept, rejected


def _item(draft: Draft) -> Item:
    prompt, messages = draft
    return Item.of(prompt, messages[-1]["content"])


def find_problem(before: Sequence[Message], after: Sequence[Message], max_edit: float) -> str | None:
    """Return what is wrong with an edit, or None.

    Checked are well-formedness, the calls, the answer, what a thought may know, repetition, the length of the last thought after a
    look-up, and how many words changed.
    """
    was, now = facts_of(before), facts_of(after)
    if problem := now.problem or stray_tag(after):
        return problem
    if now.calls != was.calls:
        return "a call changed"
    if leaked := _knows_too_early(after):
        return leaked
    turns = [(old, new) for old, new in zip(before, after, strict=True) if new["role"] == "assistant"]
    if any(_repeats(text) for _, new in turns for text in (new["reasoning_content"], new["content"])):
        return "a sentence is said twice"
    *_, (old, new) = turns
    if now.calls and len(_words(new["reasoning_content"])) < len(_words(old["reasoning_content"])):
        return "the analysis became shorter"
    return _too_much_changed(turns, max_edit)


def _conversation(messages: Sequence[Message]) -> list[Message]:
    turns = [message for message in messages if message["role"] == "assistant"]
    record = {
        "request": next(message["content"] for message in messages if message["role"] == "user"),
        "thoughts": [turn["reasoning_content"] for turn in turns],
        "results": [message["content"] for message in messages if message["role"] == "tool"],
        "answer": turns[-1]["content"],
    }
    return [{"role": "system", "content": _INSTRUCTION}, {"role": "user", "content": to_json(record)}]


def _edited(messages: Sequence[Message], reply: str) -> list[Message] | None:
    """Return the messages with the thoughts and the answer of the reply; None unless it has all of them, as texts."""
    found = read_object(reply, ("thoughts", "answer"))
    if found is None:
        return None
    thoughts, answer = found["thoughts"], found["answer"]
    number_of_turns = sum(message["role"] == "assistant" for message in messages)
    if not isinstance(thoughts, list) or len(thoughts) != number_of_turns or not all(isinstance(text, str) for text in (*thoughts, answer)):
        return None
    left = iter(thoughts)
    edited: list[dict[str, Any]] = [
        {**message, "reasoning_content": next(left).strip()} if message["role"] == "assistant" else dict(message) for message in messages
    ]
    edited[-1]["content"] = answer.strip()
    return edited


def _knows_too_early(messages: Sequence[Message]) -> str | None:
    """Return what a thought says of a result that comes after it; None where it says nothing."""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        known = " ".join(str(earlier["content"]) for earlier in messages[:number])
        later = " ".join(result["content"] for result in messages[number:] if result["role"] == "tool")
        thought = message["reasoning_content"]
        if ids := (set(_RULE_ID.findall(thought)) & set(_RULE_ID.findall(later))) - set(_RULE_ID.findall(known)):
            return f"a thought names {min(ids)} before it is looked up"
        if (_runs(thought) & _runs(later)) - _runs(known):
            return "a thought quotes a rule before it is looked up"
    return None


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[start : start + _QUOTED_WORDS]) for start in range(len(words) - _QUOTED_WORDS + 1)}


def _repeats(text: str) -> bool:
    sentences = Counter(tuple(words) for sentence in _SENTENCE_END.split(text) if len(words := _words(sentence)) >= _SENTENCE_WORDS)
    return any(count > 1 for count in sentences.values())


def _too_much_changed(turns: Sequence[tuple[Message, Message]], max_edit: float) -> str | None:
    for old, new in turns:
        is_last = old is turns[-1][0]
        grows = is_last and len(turns) > 1  # the analysis after a look-up
        if edit_share(old["reasoning_content"], new["reasoning_content"], grows=grows) > max_edit:
            return "too much of a thought changed"
        if is_last and edit_share(old["content"], new["content"]) > max_edit:
            return "too much of the answer changed"
    return None


def edit_share(before: str, after: str, *, grows: bool = False) -> float:
    """Return the share of words that were removed or added, of the words of both texts; if it may grow, of those before the removed ones.

    >>> edit_share("one two three four", "one two three five")
    0.25
    >>> edit_share("one two", "one two three four", grows=True)
    0.0
    """
    old, new = _words(before), _words(after)
    same = sum(block.size for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks())
    if grows:
        return (len(old) - same) / max(1, len(old))
    return (len(old) + len(new) - 2 * same) / max(1, len(old) + len(new))


def _words(text: str) -> list[str]:
    return _WORD.findall(str(text).lower())
