"""Rules that are changed on purpose: the corpus still compiles, prompts are decided by it, and teaching with editions follows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ascl_core.artifacts import read_yaml
from ascl_core.config.base import parse
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sft_data import SftData
from ascl_core.data.renaming import rename_rules
from ascl_core.data.resolve import resolve
from ascl_core.data.seeds import own_prompts
from ascl_core.errors import ConfigError, RuleError
from ascl_core.rules.change import FLIPPED, NEW, changed_rules, write_changed_rules
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.data import TemplatedWriter
from ascl_core.vocabulary import ResponsePolicy
from tests.builders import make_corpus, make_prompt, make_rule
from tests.corpus import RAW, RULES

AT = RulesConfig().at


def compiled(folder: Path) -> Corpus:
    """The corpus of a folder without errors; flipped texts are alike, and warned of."""
    result = check_folder(folder, RulesConfig())
    assert [str(finding) for finding in result.errors] == []
    assert result.corpus is not None
    return result.corpus


@pytest.fixture(scope="module")
def before() -> Corpus:
    """The rules before the change."""
    return compiled(RULES)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of rules and prompt seeds, changed."""
    folder = tmp_path_factory.mktemp("changed")
    shutil.copytree(RULES, folder / "rules")
    shutil.copytree(RAW, folder / "raw")
    rename_rules(folder / "raw", write_changed_rules(folder / "rules", 0.5).moved)
    return folder


def test_the_changed_corpus_compiles_and_differs_in_what_was_asked_for_alone(changed: Path, before: Corpus) -> None:
    after = compiled(changed / "rules")
    same = {rule.id for rule in after.rules} & {rule.id for rule in before.rules}
    differ = {i for i in same if before.rule(i) != after.rule(i)}
    assert differ
    for rule_id in differ:
        old, new = before.rule(rule_id), after.rule(rule_id)
        assert (new.policy, new.query, new.title, new.category) == (FLIPPED[old.policy], old.query, old.title, old.category)
        assert int(new.version.split(".")[0]) == int(old.version.split(".")[0]) + 1
        assert old.text != new.text
    moved = [rule for rule in after.rules if rule.category == NEW]
    gone = {rule.id for rule in before.rules} - same
    assert len(moved) == len(gone) > 0
    assert {rule.policy for rule in moved} == {ResponsePolicy.REFUSE_EXPLAIN}
    assert all(before.rule(i).policy is ResponsePolicy.COMPLY for i in gone)


def test_firm_rules_and_those_that_jurisdictions_decide_never_change(before: Corpus) -> None:
    for seed in range(6):
        for old, new in zip(before.rules, changed_rules(before.rules, 1.0, seed), strict=True):
            assert (old == new) is (old.policy not in FLIPPED or old.topic is not None)


def test_every_prompt_is_still_there_and_decided_by_the_rules_as_they_are_now(changed: Path, before: Corpus) -> None:
    after = compiled(changed / "rules")
    old = {(p.prompt, p.jurisdiction): p for p in resolve(own_prompts(RAW, before), before, AT)}
    new = {(p.prompt, p.jurisdiction): p for p in resolve(own_prompts(changed / "raw", after), after, AT)}
    assert old.keys() == new.keys()
    turned = {key for key in old if old[key].prompt_type is not new[key].prompt_type}
    assert {new[key].policy for key in turned} == {ResponsePolicy.COMPLY, ResponsePolicy.REFUSE_EXPLAIN}
    assert any(new[key].category == NEW for key in turned)


def test_a_topic_that_moved_is_found_by_those_who_know_its_old_category(changed: Path, before: Corpus) -> None:
    after = compiled(changed / "rules")
    old = {rule.query: rule for rule in before.rules}
    for rule in after.rules:
        if rule.category == NEW:
            found = RuleIndex(after, AT).lookup(category=old[rule.query].category, query=rule.query, jurisdiction="XA", limit=1)
            assert [each.id for each in found] == [rule.id]


def test_rules_that_do_not_compile_are_not_changed(tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "rules")
    (tmp_path / "rules" / "CYB.yaml").write_text("rules: [", encoding="utf-8")
    with pytest.raises(RuleError, match=r"the rules do not compile"):
        write_changed_rules(tmp_path / "rules", tmp_path / "safety.yaml", 0.5)
    assert (tmp_path / "rules" / "VIO.yaml").exists()


def test_a_whole_share_changes_the_seeds_that_name_moved_rules(changed: Path) -> None:
    named = {seed["rule"] for seed in read_yaml(changed / "raw" / "safety.yaml")["seeds"]}
    assert {rule_id[:3] for rule_id in named} >= {NEW, "CYB"}


class TestVariation:
    """Teaching with changed editions of the rules."""

    CORPUS = make_corpus(make_rule())
    PROMPTS = tuple(make_prompt(id=f"{number:016x}", prompt=f"How do I stop process {number}?") for number in range(200))

    def policies(self, share: float, arm: SftData = SftData.ASCL) -> list[tuple[str, str, str]]:
        """For each consulting conversation the policy that the tool named, that of the prompt as it was decided, and the thought on it."""
        config = BuildSftConfig(rule_variation=share, consult_share={"borderline": 1.0})
        writer = TemplatedWriter(config, self.CORPUS, ConversationConfig(), RuleIndex(self.CORPUS, AT))
        drafts = [(prompt, messages) for prompt, messages in writer.drafts(arm, list(self.PROMPTS)) if len(messages) == 5]
        return [(m[3]["content"].split()[1].rstrip(":"), str(prompt.policy), m[4]["reasoning_content"]) for prompt, m in drafts]

    def test_what_the_tool_says_is_what_the_conversation_follows(self) -> None:
        named = self.policies(0.8)
        assert {policy for policy, _, _ in named} == {"comply", "refuse_explain"}
        assert all(policy == decided and policy in thought.replace(".", "").split() for policy, decided, thought in named)

    def test_none_and_more(self) -> None:
        assert {policy for policy, _, _ in self.policies(0.0)} == {"comply"}
        few, many = (sum(policy != "comply" for policy, _, _ in self.policies(share)) for share in (0.2, 0.9))
        assert 0 < few < many

    def test_only_consulting_conversations_vary(self) -> None:
        config = BuildSftConfig(rule_variation=1.0, consult_share={"borderline": 0.0})
        writer = TemplatedWriter(config, self.CORPUS, ConversationConfig(), RuleIndex(self.CORPUS, AT))
        for arm in SftData:
            assert all(prompt.policy is ResponsePolicy.COMPLY for prompt, _ in writer.drafts(arm, list(self.PROMPTS)))

    def test_a_model_teacher_is_not_asked_to(self) -> None:
        with pytest.raises(ConfigError, match=r"rule_variation is for the teacher templated"):
            parse(BuildSftConfig, {"rule_variation": 0.1, "teacher": "vllm", "teacher_model": "x"}, file="test")
