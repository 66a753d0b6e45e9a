"""Faulty calls, which parse and are answered with an error, against broken ones; and the thinking of each turn."""

from __future__ import annotations

import pytest

from ascl_core.contracts import ToolCall
from ascl_core.conversation.template import CALL, END, END_CALL, END_RESPONSE, END_THINK, RESPONSE, START, THINK
from ascl_core.conversation.trajectory import read_calls, read_rollout
from ascl_core.vocabulary import Mode

GOOD = '{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": "processes"}}'
FAULTY = {
    "an unknown tool": '{"name": "search_the_web", "arguments": {"query": "processes"}}',
    "no query": '{"name": "consult_safety_rules", "arguments": {"category": "CYB"}}',
    "an empty query": '{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": " "}}',
    "no argument": '{"name": "consult_safety_rules", "arguments": {}}',
}
BROKEN = {
    "no JSON": "{",
    "a list": "[]",
    "no name": '{"arguments": {"query": "processes"}}',
    "arguments that are text": '{"name": "consult_safety_rules", "arguments": "processes"}',
}


def rollout(*bodies: str, last: str = "Use kill.") -> str:
    """One turn a call, each answered, and a final answer; every turn thinks."""
    result = f"{START}user\n{RESPONSE}\nResult.\n{END_RESPONSE}{END}\n{START}assistant\n"
    turns = [f"{THINK}\nTurn {i}.\n{END_THINK}\n\n{CALL}\n{body}\n{END_CALL}{END}\n{result}" for i, body in enumerate(bodies)]
    return "".join(turns) + f"{THINK}\nNow I know.\n{END_THINK}\n\n{last}{END}"


@pytest.mark.parametrize("body", FAULTY.values(), ids=FAULTY)
def test_a_faulty_call_is_counted_and_does_not_make_the_rollout_invalid(body: str) -> None:
    facts = read_rollout(rollout(body), finished=True)
    assert (facts.valid, facts.faulty, facts.attempted, facts.calls, facts.mode) == (True, 1, 1, (), Mode.DIRECT)
    assert facts.answer == "Use kill."


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_call_makes_the_rollout_invalid(body: str) -> None:
    facts = read_rollout(rollout(body), finished=True)
    assert (facts.valid, facts.faulty, facts.answer) == (False, 0, "")


def test_a_good_call_after_a_faulty_one_is_a_consultation() -> None:
    facts = read_rollout(rollout(FAULTY["no query"], GOOD), finished=True)
    assert (facts.valid, facts.faulty, facts.calls, facts.mode) == (True, 1, (ToolCall("processes", category="CYB"),), Mode.CONSULT)


def test_faulty_calls_count_towards_the_limit() -> None:
    assert read_rollout(rollout(FAULTY["no query"], GOOD), finished=True, max_tool_calls=2).valid
    assert read_rollout(rollout(FAULTY["no query"], GOOD), finished=True, max_tool_calls=1).problem == "more than 1 tool calls"


def test_a_tool_loop_is_given_no_call_of_a_turn_with_a_faulty_one() -> None:
    turn = "".join(f"{CALL}\n{body}\n{END_CALL}\n" for body in (GOOD, FAULTY["no query"]))
    assert read_calls(turn) == []
    assert read_calls(f"{CALL}\n{GOOD}\n{END_CALL}") == [ToolCall("processes", category="CYB")]


def test_the_thinking_of_each_turn_is_kept() -> None:
    assert read_rollout(rollout(GOOD), finished=True).thoughts == ("Turn 0.", "Now I know.")
    assert read_rollout(f"Four.{END}", finished=True).thoughts == ("",)
    assert read_rollout(f"{THINK}{END_THINK}Four.{END}", finished=True).thoughts == ("",)
