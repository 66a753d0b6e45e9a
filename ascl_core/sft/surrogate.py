"""The surrogate baseline (paper, section 5): ASCL's own trajectories rewritten without look-ups, as if the rules were known by heart.

The thoughts of a consulting trajectory become one thought: sentences about looking something up are left out, and every mention of a
rule becomes "According to my safety guidelines". The answer stays as it is. A trajectory without a look-up stays as it is, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ascl_core.contracts import Message
from ascl_core.conversation.template import answering_turn
from ascl_core.conversation.tool import TOOL_NAME
from ascl_core.sft.mixing import mode_of
from ascl_core.vocabulary import RULE_ID, Mode

PHRASE = "According to my safety guidelines"
_ID = rf"\[?\b{RULE_ID}\b\]?"
_RULE_ID = re.compile(_ID)
_CITATION = re.compile(
    rf"(?:\b(?:by|under|according to|as|since|because)\s+)?(?:\b(?:the|this|safety|deciding|rule|rules)\s+)*{_ID}"
    r"(?:\s+(?:says|states|asks for|calls for|requires|demands)\b:?(?:\s+that\b)?)?,?",
    re.IGNORECASE,
)
_LOOK_UP = re.compile(
    r"\b(?:look(?:s|ed|ing)?\s+(?:\w+\s+){0,4}up|look-?ups?|consult(?:s|ed|ing)?|retriev\w+|search(?:es|ed|ing)?|tool|"
    r"(?:check|see|read)(?:s|ed|ing)?\s+(?:\w+\s+){0,2}(?:rules?|policy|policies)|(?:rules?|results?)\s+(?:have\s+)?(?:came|come)\s+back)\b"
    rf"|{TOOL_NAME}",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def rewrite(row: Mapping[str, Any], follows_change: bool) -> list[Message] | str:
    """Return the surrogate's messages for one of ASCL's trajectories, or why there are none: what is left still speaks of a look-up.

    One that follows a changed edition of the rules is left out: without the look-up nothing in it says why it answers as it does.
    """
    if follows_change:
        return "follows a changed rule"
    messages = list(row["messages"])
    if mode_of(messages) is Mode.CONSULT:
        messages = _without_look_up(messages)
    thought = str(messages[-1]["reasoning_content"])
    if mode_of(row["messages"]) is Mode.CONSULT and (_RULE_ID.search(thought) or _LOOK_UP.search(thought)):
        return "the thought still speaks of a look-up"
    if _RULE_ID.search(messages[-1]["content"]) or TOOL_NAME in messages[-1]["content"]:
        return "the answer names a rule or the tool"
    return messages


def _without_look_up(messages: Sequence[Message]) -> list[Message]:
    """Return the opening messages and one answering turn."""
    opening = [message for message in messages if message["role"] in ("system", "user")]
    turns = [message for message in messages if message["role"] == "assistant"]
    *before, last = (_without_mentions(str(turn.get("reasoning_content") or "")) for turn in turns)
    after = last if last.startswith(PHRASE) else f"{PHRASE}: {last}" if last else f"{PHRASE}, the answer is clear."
    return [*opening, answering_turn(" ".join(filter(None, (*before, after))), turns[-1]["content"])]


def _without_mentions(thought: str) -> str:
    sentences = [sentence for sentence in _SENTENCE_END.split(thought.strip()) if sentence and not _LOOK_UP.search(sentence)]
    return " ".join(_cited(sentence) for sentence in sentences)


def _cited(sentence: str) -> str:
    """Replace each mention of a rule; one that opens the sentence is followed by a colon unless the sentence continues without one."""
    match = _CITATION.search(sentence)
    if match is None:
        return sentence
    rest = _RULE_ID.sub("these guidelines", _CITATION.sub("these guidelines", sentence[match.end() :].strip()))
    if match.start() == 0:
        joined = " " if match[0].lower().startswith(("by ", "under ", "according")) else ": "
        return f"{PHRASE}{joined}{rest}"
    return f"{sentence[: match.start()]}{PHRASE[0].lower()}{PHRASE[1:]} {rest}"
