"""Checks of the look-up: a rule in force is found first by its own query, and within its category by its own examples.

They ask the index that the tool asks, which takes longer to load than all other checks take together. So `ascl rules check` runs
them, and no stage does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.compile import CheckResult
from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.rules.findings import Finding, PlacedRule
from ascl_core.rules.retrieval import RuleIndex


@dataclass(frozen=True)
class _Miss:
    """A look-up that should have found a rule first."""

    code: str
    asked: str
    """What was asked, in words."""
    found: str | None
    """The id of the rule that it found first; None where it found none."""


def check_lookups(result: CheckResult, config: RulesConfig) -> CheckResult:
    """The result of a check with a warning for each look-up that does not find its rule first; as it is where there are errors."""
    if result.corpus is None:
        return result
    corpus, index = result.corpus, RuleIndex(result.corpus, config.at)
    return result.also([finding for placed in result.placed for finding in _findings(placed, corpus, index)], config)


def _findings(placed: PlacedRule, corpus: Corpus, index: RuleIndex) -> Iterator[Finding]:
    places: dict[_Miss, list[str]] = defaultdict(list)
    for place in corpus.jurisdictions:
        if placed.rule.in_force(index.at, place):
            for miss in _misses(placed.rule, index, place):
                places[miss].append(place)
    for miss, where in places.items():
        message = f"{miss.asked} finds {f'{miss.found} first' if miss.found else 'nothing'} in {', '.join(where)}"
        yield placed.warning(
            miss.code, message, f"say in its query and keywords what sets it apart{f' from {miss.found}' if miss.found else ''}"
        )


def _misses(rule: Rule, index: RuleIndex, place: str) -> Iterator[_Miss]:
    query, examples = f"its query {rule.query!r}", [example.prompt for example in rule.examples if example.verdict is rule.policy]
    asked: list[tuple[str, str, str, str | None]] = [
        ("not_found_by_query", query, rule.query, rule.category),
        ("not_found_by_query", f"without a category {query}", rule.query, None),
        *(("not_found_by_example", f"its example {prompt!r}", prompt, rule.category) for prompt in examples),
    ]
    for code, words, text, category in asked:
        found = index.lookup(category=category, query=text, jurisdiction=place, limit=1)
        if found != (rule,):
            yield _Miss(code, words, found[0].id if found else None)
