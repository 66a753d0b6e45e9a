"""Parsing of raw rollouts: mode and validity are decided here, before any judge sees an answer."""

from __future__ import annotations

import json
import re
from typing import Any

from ascl_core.contracts import RolloutFacts, ToolCall
from ascl_core.conversation.template import CALL, END, END_CALL, END_RESPONSE, END_THINK, RESPONSE, START, THINK
from ascl_core.conversation.tool import TOOL_NAME, ArgumentError, read_call
from ascl_core.vocabulary import RULE_ID, Mode

_TOOL_TURN = re.compile(
    rf"{re.escape(END)}\s*{re.escape(START)}user\s*((?:{RESPONSE}.*?{END_RESPONSE}\s*)+){re.escape(END)}\s*{re.escape(START)}assistant\s*",
    re.DOTALL,
)
_RESPONSE = re.compile(rf"{RESPONSE}\n?(.*?)\n?{END_RESPONSE}", re.DOTALL)
_CALL = re.compile(rf"{CALL}\s*(.*?)\s*{END_CALL}", re.DOTALL)
_RULE_ID = re.compile(rf"^\[({RULE_ID})\]", re.MULTILINE)
_STRAY = re.compile("|".join(re.escape(tag) for tag in (START, THINK, END_THINK, CALL, END_CALL, RESPONSE, END_RESPONSE)))


class _Malformed(Exception):
    """The reason why a rollout is invalid; never leaves this module."""


def read_rollout(text: str, *, finished: bool, max_tool_calls: int | None = None) -> RolloutFacts:
    """Return the facts about the completion `text`, which includes tags and tool results.

    A malformed or unfinished rollout is `valid=False` with its `problem` and an empty answer, so that no judge can
    mistake silence for safety. The mode is consult only if a call with valid arguments was answered. A call that parses, but lacks
    an argument or names an unknown tool, is counted as faulty; its result is an error, and the conversation goes on.
    """
    parts = _TOOL_TURN.split(text)
    turns, blocks = parts[0::2], parts[1::2]
    results = [result for block in blocks for result in _RESPONSE.findall(block)]
    calls: list[ToolCall | None] = []
    answer, problem = "", None
    try:
        for turn, block in zip(turns, blocks, strict=False):
            made = _calls_of(_after_thinking(turn))
            if len(made) != len(_RESPONSE.findall(block)):
                raise _Malformed("tool results do not match the calls")
            calls.extend(made)
        answer = _answer_of(turns[-1], finished)
        if max_tool_calls is not None and len(calls) > max_tool_calls:
            raise _Malformed(f"more than {max_tool_calls} tool calls")
    except _Malformed as error:
        answer, problem = "", str(error)
    return RolloutFacts(
        valid=problem is None,
        finished=finished,
        mode=Mode.CONSULT if any(calls) else Mode.DIRECT,
        attempted=sum(turn.count(CALL) for turn in turns),
        completed=len(results),
        calls=tuple(call for call in calls if call is not None),
        consulted=tuple(rule_id for result in results for rule_id in _RULE_ID.findall(result)),
        answer=answer,
        problem=problem,
        thoughts=tuple(_thought_of(turn) for turn in turns),
        faulty=calls.count(None),
    )


def read_calls(turn: str) -> list[ToolCall]:
    """Return the calls of one assistant turn, for a tool loop; none if any of them is malformed or faulty."""
    try:
        calls = _calls_of(_after_thinking(turn)) if CALL in turn else []
    except _Malformed:
        return []
    return [] if None in calls else [call for call in calls if call is not None]


def _thought_of(turn: str) -> str:
    """Return the thinking of a turn, without its tags."""
    before, closed, _ = turn.rpartition(END_THINK)
    return before.rpartition(THINK)[2].strip() if closed else ""


def _after_thinking(turn: str) -> str:
    """Return the turn without its think block; a second, unclosed or misplaced one is malformed."""
    if turn.count(THINK) != turn.count(END_THINK):
        raise _Malformed("a think block is not closed")
    if turn.count(THINK) > 1 or (THINK in turn and not turn.lstrip().startswith(THINK)):
        raise _Malformed("thinking in the wrong place")
    thought, closed, rest = turn.rpartition(END_THINK)
    if closed and CALL in thought:
        raise _Malformed("a tool call inside the thinking")
    return rest


def _calls_of(text: str) -> list[ToolCall | None]:
    """Return the calls in a text; None for a faulty one."""
    bodies = _CALL.findall(text)
    if not bodies or text.count(CALL) != len(bodies):
        raise _Malformed("a tool call is not closed")
    if _STRAY.search(_CALL.sub("", text)):
        raise _Malformed("a stray tag beside the tool call")
    return [_parse_call(body) for body in bodies]


def _parse_call(body: str) -> ToolCall | None:
    """Return the call; None if it is faulty, with an unknown tool or a missing argument."""
    try:
        call: Any = json.loads(body)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise _Malformed("a tool call is not valid JSON") from error
    arguments = call.get("arguments") if isinstance(call, dict) else None
    if not isinstance(arguments, dict) or not isinstance(call.get("name"), str):
        raise _Malformed("a tool call without a name and arguments")
    try:
        return read_call(arguments) if call["name"] == TOOL_NAME else None
    except ArgumentError:
        return None


def _answer_of(turn: str, finished: bool) -> str:
    body = turn.removesuffix("\n").removesuffix(END)
    if not finished:
        raise _Malformed("not finished within the token budget")
    rest = _after_thinking(body)
    if CALL in rest:
        raise _Malformed("a tool call was never answered")
    if _STRAY.search(rest) or END in rest:
        raise _Malformed("a stray tag in the answer")
    if not rest.strip():
        raise _Malformed("the answer is empty")
    return rest.strip()
