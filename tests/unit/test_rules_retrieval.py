"""The look-up finds in small corpora what must come first; `ascl rules check` checks it in a real one (`test_look_up_checks.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest

from ascl_core.config.rules import RulesConfig
from ascl_core.conversation.template import END, START
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.rules.corpus import Rule
from ascl_core.rules.rendering import render_rules
from ascl_core.rules.retrieval import RuleIndex
from tests.builders import make_corpus, make_rule

AT = RulesConfig().at


def ids(rules: Sequence[Rule]) -> list[str]:
    """The ids, in order."""
    return [rule.id for rule in rules]


def test_ties_go_to_precedence_and_then_to_the_id() -> None:
    rules = [make_rule(id="CYB-01"), make_rule(id="CYB-02", precedence=20), make_rule(id="CYB-03")]
    index = RuleIndex(make_corpus(*rules), AT)
    found = index.lookup(category="CYB", query="administration", jurisdiction="XA", limit=3)
    assert ids(found) == ["CYB-02", "CYB-01", "CYB-03"]


def test_a_query_without_a_known_word_gives_the_category_by_precedence_and_nothing_without_one() -> None:
    index = RuleIndex(make_corpus(make_rule(id="CYB-01"), make_rule(id="CYB-02", precedence=20)), AT)
    for query in ("", "the of and", "zebra"):
        assert ids(index.lookup(category="CYB", query=query, jurisdiction="XA", limit=1)) == ["CYB-02"]
        assert index.lookup(category=None, query=query, jurisdiction="XA", limit=1) == ()


def test_only_the_rules_of_the_day_the_jurisdiction_and_the_category_are_found() -> None:
    rules = [
        make_rule(id="CYB-01", jurisdictions=["XA"]),
        make_rule(id="CYB-02", effective_until="2026-11-01"),
        make_rule(id="CYB-03", effective_from="2026-11-01"),
        make_rule(id="CYB-04", status="draft"),
        make_rule(id="DRG-01", category="DRG"),
    ]
    corpus = make_corpus(*rules)

    def found(at: date, jurisdiction: str, category: str | None = "CYB") -> list[str]:
        return ids(RuleIndex(corpus, at).lookup(category=category, query="administration", jurisdiction=jurisdiction, limit=9))

    assert found(date(2026, 10, 31), "XA") == ["CYB-01", "CYB-02"]
    assert found(date(2026, 11, 1), "XA") == ["CYB-01", "CYB-03"]
    assert found(date(2026, 11, 1), "XB") == ["CYB-03"]
    assert found(date(2026, 11, 1), "XB", None) == found(date(2026, 11, 1), "XB", "NOPE") == ["CYB-03", "DRG-01"]
    assert found(date(2025, 1, 1), "XA") == []


def test_a_rule_of_stop_words_alone_does_not_break_the_index() -> None:
    rule = make_rule(title="the and of", text="the and of to it is a the and of", keywords=["of"], query="the and", examples=[])
    assert RuleIndex(make_corpus(rule), AT).lookup(category="CYB", query="the", jurisdiction="XA", limit=1) == (rule,)


@pytest.mark.parametrize("rule_id", ["CYB-03", "CYB-1000", "CYB-123456"])
def test_a_rule_id_of_any_length_that_the_schema_allows_is_read_as_consulted(rule_id: str) -> None:
    call = '{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": "backup"}}'
    result = f"<tool_response>\n{render_rules([make_rule(id=rule_id)])}\n</tool_response>"
    text = f"<think>\nx\n</think>\n<tool_call>\n{call}\n</tool_call>{END}\n{START}user\n{result}{END}\n{START}assistant\n"
    facts = read_rollout(f"{text}<think>\nx\n</think>\n\nDone.{END}", finished=True)
    assert (facts.problem, facts.consulted) == (None, (rule_id,))
