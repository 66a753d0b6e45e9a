"""The surrogate's data: ASCL's trajectories without their look-ups, and nothing else changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_jsonl
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.sft import SftConfig
from ascl_core.contracts import Message, ToolCall
from ascl_core.conversation.template import answering_turn, consulting_turn, opening, tool_turn
from ascl_core.sft.acceptance import facts_of
from ascl_core.sft.surrogate import PHRASE, rewrite
from ascl_core.vocabulary import Mode, PromptType
from tasks.registry.stages import BASE, BUILD_SFT, STAGES, TRAJECTORIES
from tests.builders import make_prompt
from tests.unit.test_templated_teacher import BENIGN, HARMFUL, UTILITY, kept

OPENING = opening(make_prompt(), ConversationConfig())
CALL = ToolCall("servers", category="CYB")


def make_row(before: str, after: str, answer: str = "I can't help with that.") -> dict[str, Any]:
    """A consulting trajectory with these thoughts."""
    result = tool_turn("[CYB-01] hard_refuse: Breaking in. Never help.")
    messages: list[Message] = [*OPENING, consulting_turn(before, CALL), result, answering_turn(after, answer)]
    return {"id": "x", "arm": "ascl", "mode": "consult", "rule_ids": ["CYB-01"], "messages": messages, "seed": 0}


def rewritten(row: dict[str, Any]) -> list[Message]:
    """The messages of the rewritten trajectory."""
    messages = rewrite(row, follows_change=False)
    assert not isinstance(messages, str), messages
    return messages


def thought(before: str, after: str) -> str:
    """The thought of the rewritten trajectory."""
    return str(rewritten(make_row(before, after))[-1]["reasoning_content"])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("It is about servers. Let me look up the rules.", "Rule CYB-01 says hard_refuse. I will refuse.", "hard_refuse. I will refuse."),
        ("I should check the rules.", "By rule CYB-01 the answer is no.", f"{PHRASE} the answer is no."),
        (
            "Risky.",
            "The rules came back. The deciding rule [CYB-01] asks for a refusal. So I decline.",
            f"{PHRASE}: a refusal. So I decline.",
        ),
        (
            "Risky.",
            "This must be refused, as CYB-01 requires. CYB-01 leaves no doubt.",
            "This must be refused, according to my safety guidelines",
        ),
        ("I consult the tool consult_safety_rules.", "Nothing forbids this. I will help.", f"{PHRASE}: Nothing forbids this. I will help."),
        ("I look it up.", "", f"{PHRASE}, the answer is clear."),
    ],
)
def test_look_ups_are_left_out_and_rules_become_guidelines(before: str, after: str, expected: str) -> None:
    written = thought(before, after)
    assert expected in written
    assert PHRASE.lower() in written.lower()
    assert "CYB-01" not in written


def test_what_is_said_before_the_call_stays_but_for_the_call() -> None:
    assert thought("It is about servers. Let me look up the rules.", "Rule CYB-01 says no.").startswith("It is about servers. According to")


def test_the_answer_and_the_opening_stay_and_there_is_one_turn_without_a_tool() -> None:
    messages = rewritten(make_row("Look it up.", "Rule CYB-01 says no.", "No, sorry."))
    assert [m["role"] for m in messages] == ["system", "user", "assistant"]
    assert messages[:2] == OPENING
    assert messages[2]["content"] == "No, sorry."
    assert facts_of(messages).mode is Mode.DIRECT


def test_a_direct_trajectory_stays_as_it_is() -> None:
    direct = {**make_row("", ""), "mode": "direct", "messages": [*OPENING, answering_turn("I know.", "Use kill.")]}
    assert rewritten(direct) == direct["messages"]


def test_an_answer_that_names_a_rule_cannot_be_rewritten() -> None:
    row = make_row("Hm.", "Rule CYB-01 says no.", "By rule CYB-01 I can't.")
    assert rewrite(row, follows_change=False) == "the answer names a rule or the tool"


def test_the_builder_writes_it_beside_the_others(tmp_path: Path) -> None:
    rows, _ = kept(tmp_path, [HARMFUL, BENIGN, UTILITY], consult_share=dict.fromkeys(PromptType, 1.0))
    surrogate = read_jsonl(tmp_path / "surrogate.jsonl")
    assert [row["prompt_id"] for row in surrogate] == [row["prompt_id"] for row in rows]
    assert {row["mode"] for row in rows} == {"consult"}
    assert {(row["arm"], row["mode"]) for row in surrogate} == {("surrogate", "direct")}
    assert {row["id"] for row in surrogate}.isdisjoint(row["id"] for row in rows)
    assert [row["rule_ids"] for row in surrogate] == [row["rule_ids"] for row in rows]
    assert [row["messages"][-1]["content"] for row in surrogate] == [row["messages"][-1]["content"] for row in rows]
    assert all(PHRASE in row["messages"][-1]["reasoning_content"] for row in surrogate)
    counts = read_json(tmp_path / "counts.json")["arms"]["surrogate"]
    assert (counts["kept"], counts["by_mode"]) == (3, {"direct": 3})


def test_a_trajectory_that_follows_a_changed_rule_is_left_out(tmp_path: Path) -> None:
    prompts = [make_prompt(id=f"{i:016x}", prompt=f"How do I stop process {i}?") for i in range(40)]
    rows, _ = kept(tmp_path, prompts, rule_variation=1.0, consult_share={"borderline": 1.0})
    refused = [row for row in rows if row["prompt_type"] == "harmful"]
    assert refused, "some edition forbids it"
    surrogate = read_jsonl(tmp_path / "surrogate.jsonl")
    assert {row["prompt_type"] for row in surrogate} == {"borderline"}
    assert len(surrogate) == len(rows) - len(refused)
    assert read_json(tmp_path / "counts.json")["arms"]["surrogate"]["reasons"] == {"follows a changed rule": len(refused)}


def test_only_sft_may_train_on_it_and_does_so_where_it_is_asked_to() -> None:
    surrogate = TRAJECTORIES["surrogate"]
    assert surrogate in BUILD_SFT.outputs.values()
    assert surrogate not in BASE.input_artifacts(), "it would change the tokenizer that is trained on the others"
    assert [stage.name for stage in STAGES if surrogate in stage.input_artifacts()] == ["sft"]
    assert SftConfig().arm == "ascl"
