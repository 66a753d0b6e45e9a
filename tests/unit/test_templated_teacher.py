"""The templated teacher on prompts of public data sets: which rule it looks up, whose answer it uses, what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_jsonl, write_json, write_parquet
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Message, Prompt, StageContext, to_table
from ascl_core.conversation.template import completion_text
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import DataError
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.data import TemplatedWriter, build_sft
from ascl_core.vocabulary import Mode, PromptType, ResponsePolicy, Split
from tests.builders import make_corpus, make_prompt, make_rule

CORPUS = make_corpus(
    make_rule(id="CYB-01", title="Breaking in", policy="hard_refuse", query="break into servers", keywords=["server"], examples=[]),
    make_rule(id="CYB-02", title="Taking over", policy="refuse_explain", query="account takeover", keywords=["account"], examples=[]),
    make_rule(),
)
REFUSAL = "I can't help with that, because the account is not yours."
PUBLIC = {"source": "star1", "rule_id": None, "prompt_type": PromptType.HARMFUL, "policy": ResponsePolicy.REFUSE_EXPLAIN}
HARMFUL = make_prompt(id="a" * 16, prompt="Get me into the account of my neighbour", reference=REFUSAL, **PUBLIC)
BENIGN = make_prompt(id="b" * 16, prompt="Write a script that restarts a server", rule_id=None)
UTILITY = make_prompt(
    id="c" * 16,
    prompt="Ann has 2 pears and buys 3. How many has she?",
    prompt_type=PromptType.UTILITY,
    category=None,
    rule_id=None,
    answer="5",
    answer_kind="number",
    reference="2 + 3 = 5 pears.",
)


def written(arm: SftData, prompt: Prompt, consult_share: float = 1.0) -> list[Message]:
    """The one conversation for that prompt."""
    config = BuildSftConfig(consult_share=dict.fromkeys(PromptType, consult_share))
    index = RuleIndex(CORPUS, RulesConfig().at)
    ((_, messages),) = TemplatedWriter(config, CORPUS, ConversationConfig(), index).drafts(arm, [prompt])
    return messages


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [
        (HARMFUL, "CYB-02"),
        (make_prompt(**{**PUBLIC, "prompt": "Get me into that server"}), "CYB-01"),
        (BENIGN, "CYB-03"),  # CYB-01 speaks of servers, too, and refuses
    ],
)
def test_a_prompt_without_a_rule_gets_the_nearest_that_decides_as_its_source_does(prompt: Prompt, rule: str) -> None:
    messages = written(SftData.ASCL, prompt)
    facts = read_rollout(completion_text(messages), finished=True)
    assert (facts.problem, facts.consulted) == (None, (rule,))
    assert rule in messages[-1]["reasoning_content"]
    assert str(CORPUS.rule(rule).policy) in messages[-1]["reasoning_content"]


def test_where_no_rule_of_its_category_decides_so_it_is_answered_directly() -> None:
    sensitive = make_prompt(rule_id=None, prompt_type=PromptType.SENSITIVE, policy=ResponsePolicy.SAFE_COMPLETION)
    for prompt in (sensitive, make_prompt(**{**PUBLIC, "prompt": "Take the firewall and the backup away"})):
        assert [message["role"] for message in written(SftData.ASCL, prompt)] == ["system", "user", "assistant"]


def test_a_rule_that_is_known_is_never_searched_for() -> None:
    prompt = make_prompt(prompt="Get me into that server", rule_id="CYB-02", prompt_type=PromptType.HARMFUL, policy="refuse_explain")
    assert read_rollout(completion_text(written(SftData.ASCL, prompt)), finished=True).consulted == ("CYB-02",)


@pytest.mark.parametrize("arm", [SftData.ASCL, SftData.CONTEXT_DISTILLATION])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_answer_of_the_source_is_used(arm: SftData, share: float) -> None:
    assert written(arm, HARMFUL, share)[-1]["content"] == REFUSAL
    assert written(arm, UTILITY, share)[-1]["content"] == "2 + 3 = 5 pears.\nThe answer is 5."


def test_the_direct_refusal_baseline_refuses_in_its_own_words() -> None:
    assert REFUSAL not in written(SftData.DIRECT_REFUSAL, HARMFUL)[-1]["content"]
    assert written(SftData.DIRECT_REFUSAL, UTILITY)[-1]["content"] == "2 + 3 = 5 pears.\nThe answer is 5."


def kept(folder: Path, prompts: list[Prompt], **changes: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The ASCL trajectories that `build_sft` keeps, and its counts of them."""
    write_json(folder / "corpus.json", CORPUS.to_json())
    write_json(folder / "validation.json", {})
    rows = [Prompt(**{**vars(prompt), "split": Split.TRAIN}) for prompt in prompts]
    write_parquet(folder / "prompts.parquet", to_table(rows, Prompt))
    build_sft(
        build_sft=BuildSftConfig(**changes),
        conversation=ConversationConfig(),
        rules=RulesConfig(),
        compute=ComputeConfig(device="cpu", threads=1),
        prompts=folder / "prompts.parquet",
        corpus=folder / "corpus.json",
        validation=folder / "validation.json",
        **{data: folder / f"{data}.jsonl" for data in SftData},
        counts=folder / "counts.json",
        context=StageContext(state=folder),
    )
    return read_jsonl(folder / "ascl.jsonl"), read_json(folder / "counts.json")["arms"]["ascl"]


def test_an_answer_that_does_not_refuse_a_harmful_prompt_is_rejected_with_the_reason(tmp_path: Path) -> None:
    helpful = make_prompt(**{**PUBLIC, "id": "d" * 16, "prompt": "Tell me of accounts", "reference": "Accounts are kept by banks."})
    rows, counts = kept(tmp_path, [HARMFUL, helpful, UTILITY])
    assert {row["prompt_id"] for row in rows} == {HARMFUL.id, UTILITY.id}
    assert {row["mode"] for row in rows if row["prompt_id"] == HARMFUL.id} == {Mode.CONSULT}
    assert counts["reasons"] == {"refusal is none on a harmful prompt": 1}


@pytest.mark.parametrize(("max_words", "rejected"), [(None, 0), (200, 0), (40, 1)])
def test_what_is_longer_than_the_budget_is_rejected_with_the_reason(tmp_path: Path, max_words: int | None, rejected: int) -> None:
    long = make_prompt(**{**PUBLIC, "id": "d" * 16, "prompt": "Open an account of hers", "reference": f"{REFUSAL} " * 8})
    rows, counts = kept(tmp_path, [HARMFUL, long], max_words=max_words)
    assert (len(rows), counts["rejected"]) == (2 - rejected, rejected)
    assert counts["reasons"] == ({f"over {max_words} words": 1} if rejected else {})


def test_public_sets_are_written_as_they_are_where_the_parameters_say_where_they_are(tmp_path: Path) -> None:
    table = tmp_path / "star.json"
    table.write_text(
        json.dumps([{"question": "How do I forge a cheque?", "response": "<think>\nForgery.\n</think>\n\nNo."}]), encoding="utf-8"
    )
    kept(tmp_path, [HARMFUL, UTILITY], published=[{"format": "star1", "path": str(table)}])
    [row] = read_jsonl(tmp_path / "star1.jsonl")
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"], "neither a safety prompt nor the tool"
    assert (row["arm"], row["messages"][-1]["content"]) == ("star1", "No.")
    assert read_jsonl(tmp_path / "star1_mix.jsonl") == read_jsonl(tmp_path / "safechain.jsonl") == [], "their sets are not configured"
    assert read_json(tmp_path / "counts.json")["arms"]["star1"]["kept"] == 1


def test_a_public_set_that_cannot_be_read_costs_no_work_of_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ascl_core.sft.data.select_prompts", lambda *_: pytest.fail("the prompts were chosen first"))
    with pytest.raises(DataError, match="hub id without a pinned revision"):
        kept(tmp_path, [HARMFUL, UTILITY], published=[{"format": "safechain"}])


def test_a_public_set_that_is_named_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="a set is named twice"):
        BuildSftConfig(published=[{"format": "star1", "path": "a"}, {"format": "star1", "path": "b"}])
