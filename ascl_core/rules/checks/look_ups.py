"""Checks of look-ups: a rule in force is found first by its own query, and within its category by its own examples.

They search the index that the tool searches, which takes longer to load than all other checks together. So `ascl rules check` runs
them, and no stage does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ascl_core.rules.checks.registry import CorpusUnderCheck, check, run_checks
from ascl_core.rules.compile import CheckResult
from ascl_core.rules.corpus import Rule
from ascl_core.rules.findings import Finding
from ascl_core.rules.retrieval import RuleIndex


def check_look_ups(result: CheckResult) -> CheckResult:
    """Return the result with the findings of these checks; unchanged if it has errors, as broken rules cannot be indexed."""
    return result if result.corpus is None else result.also(list(run_checks(result.checked, "look_up")))


@check("look_up")
def found_first(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that its query and its own examples find a rule before all others, wherever it is in force."""
    assert corpus.compiled is not None, "runs only on a corpus that compiles"
    index = RuleIndex(corpus.compiled, corpus.config.at)
    for located in corpus.rules:
        rule = located.rule
        missed: dict[tuple[str, str, str | None], list[str]] = defaultdict(list)
        groups: dict[str, list[str]] = defaultdict(list)
        for jurisdiction in corpus.compiled.jurisdictions:
            if rule.in_force(index.at, jurisdiction):
                groups[index.alike(jurisdiction)].append(jurisdiction)
        own = tuple(_own_look_ups(rule))
        for jurisdiction, alike in groups.items():
            for code, description, query, category in own:
                if index.leads(rule, category=category, query=query, jurisdiction=jurisdiction):
                    continue
                if (found := index.lookup(category=category, query=query, jurisdiction=jurisdiction, limit=1)) != (rule,):
                    missed[code, description, found[0].id if found else None] += alike
        for (code, description, other), jurisdictions in missed.items():
            message = f"{description} finds {f'{other} first' if other else 'nothing'} in {', '.join(jurisdictions)}"
            hint = "say in its query and keywords what sets it apart" + (f" from {other}" if other else "")
            yield located.warning(code, message, hint)


def _own_look_ups(rule: Rule) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield code, description, query and category of each look-up that should find the rule first."""
    yield "not_found_by_query", f"its query {rule.query!r}", rule.query, rule.category
    yield "not_found_by_query", f"without a category its query {rule.query!r}", rule.query, None
    for prompt in rule.own_examples:
        yield "not_found_by_example", f"its example {prompt!r}", prompt, rule.category
