"""A raw rollout taken apart for people: thoughts, calls, results and answers, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ascl_core.conversation.template import CALL, END, END_CALL, END_RESPONSE, END_THINK, RESPONSE, START, THINK
from ascl_core.conversation.tool import format_call
from ascl_core.conversation.trajectory import read_calls

_PART = re.compile(
    rf"{THINK}(?P<thought>.*?)(?:{END_THINK}|\Z)|{CALL}(?P<call>.*?)(?:{END_CALL}|\Z)|{RESPONSE}(?P<result>.*?)(?:{END_RESPONSE}|\Z)"
    rf"|{re.escape(END)}|{re.escape(START)}(?:user|assistant)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """One step of a conversation."""

    kind: Literal["thought", "call", "result", "text"]
    text: str


def steps_of(text: str) -> tuple[Step, ...]:
    """Return the thoughts, calls, results and plain text of a raw rollout, in order; a malformed one keeps all its text.

    A tag that is never closed runs to the end.
    """
    steps: list[Step] = []
    position = 0
    for part in _PART.finditer(text):
        steps.append(Step("text", text[position : part.start()]))
        kind = part.lastgroup
        if kind in ("thought", "call", "result"):
            steps.append(Step(kind, _call(part["call"]) if kind == "call" else part[kind]))  # type: ignore[arg-type]
        position = part.end()
    steps.append(Step("text", text[position:]))
    return tuple(Step(step.kind, step.text.strip()) for step in steps if step.text.strip())


def _call(body: str) -> str:
    """Return a well-formed call in readable form, any other one as it is."""
    calls = read_calls(f"{CALL}{body}{END_CALL}")
    return format_call(calls[0]) if calls else body
