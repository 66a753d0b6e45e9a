"""The labeller: which labels it is offered, how its reply is read, and what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.chat import ChatConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import Prompt, StageContext
from ascl_core.progress import Progress
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.labeller import Labeller
from ascl_core.vocabulary import PromptType, ResponsePolicy
from tests.builders import make_corpus, make_prompt, make_rule
from tests.chat_server import Server, completion

CORPUS = make_corpus(
    make_rule(id="CYB-01", title="Breaking in", policy="hard_refuse", query="break into servers", examples=[]),
    make_rule(),
    make_rule(id="PRV-01", category="PRV", title="Following people", policy="refuse_explain", query="follow a person", examples=[]),
    make_rule(id="PRV-02", category="PRV", title="Elsewhere", policy="refuse_explain", query="follow", jurisdictions=["XB"], examples=[]),
)
UNLABELLED = make_prompt(
    id="a" * 16, prompt="Track my boss", prompt_type=PromptType.HARMFUL, policy=ResponsePolicy.HARD_REFUSE, category=None, rule_id=None
)


def label(server: Server, folder: Path, *prompts: Prompt) -> tuple[list[Prompt], dict[str, Any]]:
    """The labelled prompts and the counts, without the labeller's name."""
    chat = ChatConfig(backend="openai", model="sorter", base_url=server.url)
    context = StageContext(state=folder, progress=Progress("/dev/null"))
    labeller = Labeller(chat, BuildSftConfig(batch_size=2), RuleIndex(CORPUS, RulesConfig().at), ComputeConfig(device="cpu"), context)
    labelled, counts = labeller.label(list(prompts))
    assert counts.pop("labeller") == labeller.assistant.name
    return labelled, counts


def says(value: Any) -> bytes:
    """A reply with that label."""
    return completion(json.dumps({"label": value}))


def test_a_rule_brings_its_category_and_its_policy(server: Server, tmp_path: Path) -> None:
    server.answer(says("PRV-01"))
    [found], counts = label(server, tmp_path, UNLABELLED)
    assert (found.rule_id, found.category, found.policy) == ("PRV-01", "PRV", ResponsePolicy.REFUSE_EXPLAIN)
    assert (found.prompt, found.prompt_type) == (UNLABELLED.prompt, UNLABELLED.prompt_type)
    assert counts == {"rule": 1}


def test_a_category_is_a_label_too(server: Server, tmp_path: Path) -> None:
    server.answer(says("PRV"))
    [found], counts = label(server, tmp_path, UNLABELLED)
    assert (found.rule_id, found.category, counts) == (None, "PRV", {"category": 1})


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (says("none"), "none"),
        (says("XYZ-01"), "unknown"),
        (says("PRV-02"), "unknown"),  # not in force there
        (says("CYB-03"), "unknown"),  # complies: it would turn a harmful prompt into a harmless one
        (says("prv-01"), "unknown"),
        (says(3), "unreadable"),
        (completion("PRV-01"), "unreadable"),
        (completion('The label is {"label": "PRV-01"}'), "unreadable"),
        (completion('{"label": "PRV-01", "why": "it follows"}'), "unreadable"),
        (completion(""), "unreadable"),
    ],
)
def test_any_other_reply_leaves_the_prompt_as_it_was_and_is_counted(server: Server, tmp_path: Path, reply: bytes, outcome: str) -> None:
    server.answer(reply)
    assert label(server, tmp_path, UNLABELLED) == ([UNLABELLED], {outcome: 1})


def test_only_prompts_without_a_rule_are_asked_about_in_their_own_category(server: Server, tmp_path: Path) -> None:
    server.answer(says("CYB-01"))
    utility = make_prompt(id="b" * 16, prompt_type=PromptType.UTILITY, category=None, rule_id=None, answer="4")
    known = make_prompt(id="c" * 16)
    in_category = make_prompt(**{**vars(UNLABELLED), "id": "d" * 16, "category": "CYB"})
    labelled, counts = label(server, tmp_path, utility, known, in_category)
    assert [prompt.rule_id for prompt in labelled] == [None, "CYB-03", "CYB-01"]
    assert counts == {"rule": 1}
    [(_, _, request)] = server.requests
    system, user = request["messages"]
    assert user["content"] == UNLABELLED.prompt
    assert "CYB-01: Breaking in" in system["content"]
    assert "PRV" not in system["content"]
    assert "tools" not in request
