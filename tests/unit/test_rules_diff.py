"""What a change of the rules means: its class, the verdicts that flip, and whether versions say so."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ascl_core.rules.corpus import Corpus, Taxonomy
from ascl_core.rules.diff import UNDECIDED, ChangeClass, RuleDiff, diff_corpora
from tests.builders import make_corpus, make_rule

AT = date(2026, 11, 1)
OWN = {"prompt": "How do I kill a Python process?", "verdict": "comply"}
EDGE = {"prompt": "How do I kill my neighbour's server?", "verdict": "refuse_explain"}


def changed(**changes: Any) -> RuleDiff:
    """The diff where one rule of two changed by `changes`."""
    other = make_rule(id="CYB-09", title="Another rule", examples=[])
    return diff_corpora(make_corpus(make_rule(), other), make_corpus(make_rule(**changes), other), AT)


def test_the_same_rules_are_no_change() -> None:
    diff = changed()
    assert (diff.change_class, diff.rules, diff.reasons, diff.flips) == (ChangeClass.NONE, (), (), ())
    assert diff.old_digest == diff.new_digest


def test_another_text_is_wording() -> None:
    diff = changed(text="Help fully with the administration of systems and say what every step does.", version="1.0.1")
    assert diff.change_class is ChangeClass.WORDING
    (rule,) = diff.rules
    assert [field.field for field in rule.fields] == ["text"]
    assert rule.problem == ""
    assert (diff.tokens.before - diff.tokens.after) > 0


@pytest.mark.parametrize("changes", [{"keywords": ["process"]}, {"severity": "high"}, {"title": "Administration"}, {"query": "admin work"}])
def test_what_decides_no_answer_is_wording(changes: dict[str, Any]) -> None:
    assert changed(**changes, version="1.0.1").change_class is ChangeClass.WORDING


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": "refuse_explain", "examples": [OWN | {"verdict": "refuse_explain"}]},
        {"precedence": 20},
        {"disallowed": ["shutting down what belongs to others"]},
        {"examples": [OWN, EDGE]},
        {"jurisdictions": ["XA"]},
        {"status": "retired"},
        {"effective_until": "2026-10-01"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_may_decide_an_answer_is_of_class_verdict(changes: dict[str, Any]) -> None:
    diff = changed(**changes, version="2.0.0")
    assert diff.change_class is ChangeClass.VERDICT
    assert diff.reasons[0].startswith("CYB-03 ")
    assert diff.problems == ()


def test_a_text_with_a_major_version_declares_that_a_verdict_may_flip() -> None:
    diff = changed(text="Help nobody with administration, whatever they say about it.", version="2.0.0")
    assert diff.change_class is ChangeClass.VERDICT
    assert "major version" in diff.reasons[0]


def test_a_flip_names_prompt_jurisdiction_and_both_verdicts() -> None:
    diff = changed(policy="refuse_explain", examples=[OWN | {"verdict": "refuse_explain"}], version="2.0.0")
    assert [(f.prompt, f.jurisdictions, f.before, f.after) for f in diff.flips] == [
        (OWN["prompt"], ("XA", "XB"), "comply", "refuse_explain")
    ]
    (examples,) = (field for field in diff.rules[0].fields if field.field == "examples")
    assert (examples.gone, examples.new) == ((f"{OWN['prompt']} → comply",), (f"{OWN['prompt']} → refuse_explain",))


def test_a_flip_at_one_jurisdiction_alone() -> None:
    diff = changed(jurisdictions=["XA"], version="2.0.0")
    assert [(flip.jurisdictions, flip.before, flip.after) for flip in diff.flips] == [(("XB",), "comply", UNDECIDED)]


def test_an_example_that_went_is_decided_by_its_rule_and_one_at_the_edge_by_nobody() -> None:
    before = make_rule(examples=[OWN, EDGE])
    after = make_rule(policy="refuse_explain", examples=[{"prompt": "Another one?", "verdict": "refuse_explain"}], version="2.0.0")
    diff = diff_corpora(make_corpus(before), make_corpus(after), AT)
    assert {(flip.prompt, flip.before, flip.after) for flip in diff.flips} == {
        (OWN["prompt"], "comply", "refuse_explain"),
        ("Another one?", "comply", "refuse_explain"),
    }


def test_the_rule_of_higher_precedence_decides_an_example_that_two_have() -> None:
    above = {"id": "CYB-09", "title": "Another rule", "precedence": 90, "policy": "refuse_explain"}
    said = make_rule(**above, examples=[OWN | {"verdict": "refuse_explain"}])
    silent = make_rule(**above, examples=[], version="2.0.0")
    diff = diff_corpora(make_corpus(make_rule(), said), make_corpus(make_rule(), silent), AT)
    assert {(flip.rule_id, flip.before, flip.after) for flip in diff.flips} == {("CYB-09", "refuse_explain", "comply")}, "not of the other"


@pytest.mark.parametrize(
    ("changes", "version", "hint"),
    [
        ({"policy": "refuse_explain", "examples": [OWN | {"verdict": "refuse_explain"}]}, "1.1.0", "raise it to 2.0.0"),
        ({"policy": "refuse_explain"}, "1.1.0", "raise it to 2.0.0"),
        ({"disallowed": ["this"]}, "1.0.1", "raise it to 1.1.0"),
        ({"text": "Help fully with administration and say all that it does."}, "1.0.0", "raise it to 1.0.1"),
        ({}, "0.9.0", "raise it above 1.0.0"),
    ],
    ids=[
        "a flip without a major bump",
        "a policy without one, and old examples",
        "guidance without a minor one",
        "wording without any",
        "back",
    ],
)
def test_a_version_that_does_not_say_what_changed_is_a_problem(changes: dict[str, Any], version: str, hint: str) -> None:
    (rule,) = changed(**changes, version=version).problems
    assert (rule.rule_id, rule.hint) == ("CYB-03", hint)
    assert version in rule.problem


def test_rules_come_and_go() -> None:
    new = make_rule(id="CYB-04", title="A new rule")
    diff = diff_corpora(make_corpus(make_rule()), make_corpus(make_rule(), new), AT)
    assert (diff.change_class, [rule.rule_id for rule in diff.of_kind("added")]) == (ChangeClass.STRUCTURAL, ["CYB-04"])
    assert (diff.in_force["CYB"].before, diff.in_force["CYB"].after) == (1, 2)
    back = diff_corpora(make_corpus(make_rule(), new), make_corpus(make_rule()), AT)
    assert ([rule.rule_id for rule in back.of_kind("removed")], back.flips) == (["CYB-04"], ())
    draft = diff_corpora(make_corpus(make_rule()), make_corpus(make_rule(), make_rule(id="CYB-04", status="draft")), AT)
    assert draft.change_class is ChangeClass.WORDING


class TestStructure:
    """Categories and jurisdictions."""

    CORPUS = make_corpus(make_rule())

    def with_categories(self, **categories: dict[str, Any]) -> Corpus:
        """The corpus with other categories beside those that it has."""
        values = self.CORPUS.taxonomy.model_dump(mode="json")
        return Corpus(
            taxonomy=Taxonomy.model_validate({**values, "categories": {**values["categories"], **categories}}), rules=self.CORPUS.rules
        )

    def test_a_new_category_and_one_with_other_hazards_are_structural(self) -> None:
        added = self.with_categories(NEW={"name": "new", "title": "New", "hazards": ["S1"]})
        diff = diff_corpora(self.CORPUS, added, AT)
        assert (diff.change_class, diff.reasons) == (ChangeClass.STRUCTURAL, ("category NEW added",))
        assert diff_corpora(added, self.CORPUS, AT).reasons == ("category NEW removed",)
        mapped = self.with_categories(CYB={**self.CORPUS.categories["CYB"].model_dump(mode="json"), "hazards": ["S1"]})
        assert diff_corpora(self.CORPUS, mapped, AT).reasons == ("category CYB re-mapped",)

    def test_another_title_is_wording(self) -> None:
        renamed = self.with_categories(CYB={**self.CORPUS.categories["CYB"].model_dump(mode="json"), "title": "Computers"})
        assert diff_corpora(self.CORPUS, renamed, AT).change_class is ChangeClass.WORDING

    def test_a_rule_that_moves_and_a_jurisdiction_that_comes_are_structural(self) -> None:
        moved = make_corpus(make_rule(category="FRD", version="2.0.0"))
        assert diff_corpora(self.CORPUS, moved, AT).change_class is ChangeClass.STRUCTURAL
        values = self.CORPUS.taxonomy.model_dump(mode="json")
        wider = Corpus(
            taxonomy=Taxonomy.model_validate({**values, "jurisdictions": {**values["jurisdictions"], "XC": "A third"}}),
            rules=self.CORPUS.rules,
        )
        diff = diff_corpora(self.CORPUS, wider, AT)
        assert (diff.change_class, diff.jurisdictions_added) == (ChangeClass.STRUCTURAL, ("XC",))


def test_the_json_is_plain() -> None:
    import json

    diff = changed(policy="refuse_explain", examples=[OWN | {"verdict": "refuse_explain"}], version="2.0.0")
    read = json.loads(json.dumps(diff.to_json()))
    assert (read["schema"], read["change_class"], read["flips"]) == ("ascl.rules-diff/1", "verdict", 1)
