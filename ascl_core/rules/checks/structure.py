"""Checks of ids, names, references and topics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ascl_core.rules.checks.registry import RETIRED, CorpusUnderCheck, check
from ascl_core.rules.corpus import EVERYWHERE
from ascl_core.rules.findings import Finding, LocatedRule
from ascl_core.rules.loading import TAXONOMY_FILE


@check()
def unique_ids(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that no id is used twice, and no retired id is used again."""
    first: dict[str, LocatedRule] = {}
    for located in corpus.rules:
        rule_id = located.rule.id
        if (earlier := first.setdefault(rule_id, located)) is not located:
            yield located.error("duplicate_id", f"the id is also used at {earlier.file}:{earlier.line}", "give it a new id")
        elif corpus.lock.get(rule_id, {}).get("version") == RETIRED:
            yield located.error("reused_id", "the id belonged to a retired rule", "give it a new id: ids are never reused")


@check()
def names(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that categories and jurisdictions are in the taxonomy; an id starts with its category."""
    if corpus.taxonomy is None:
        return
    for located in corpus.rules:
        rule = located.rule
        if rule.category not in corpus.taxonomy.categories:
            yield located.error("unknown_category", f"the category {rule.category!r} is not in the taxonomy", f"add it to {TAXONOMY_FILE}")
        elif not rule.id.startswith(f"{rule.category}-"):
            yield located.error("id_category", f"the id does not start with its category {rule.category!r}", "give it a new id")
        for jurisdiction in rule.jurisdictions:
            if jurisdiction != EVERYWHERE and jurisdiction not in corpus.taxonomy.jurisdictions:
                message = f"the jurisdiction {jurisdiction!r} is not in the taxonomy"
                yield located.error("unknown_jurisdiction", message, f"add it to {TAXONOMY_FILE}, or use '*'")


@check()
def references(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that rules that are referred to exist, and a superseded rule is not in force beside its successor."""
    by_id = {located.rule.id: located.rule for located in corpus.rules}
    for located in corpus.rules:
        rule = located.rule
        for other in (*rule.supersedes, *rule.see_also):
            if corpus.complete and other not in by_id and other not in corpus.lock:
                yield located.error("dangling_reference", f"refers to {other!r}, which does not exist", "correct it, or drop it")
        for other in rule.supersedes:
            if other in by_id and other != rule.id and rule.overlaps(by_id[other]):
                message = f"supersedes {other}, which is in force in the same jurisdiction and at the same time"
                yield located.error("superseded_in_force", message, f"set the status of {other} to deprecated, or give it an end")


@check()
def cycles(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that no rule supersedes itself, not even through others."""
    successors = {located.rule.id: located.rule.supersedes for located in corpus.rules}
    for located in corpus.rules:
        reached, frontier = set[str](), list(located.rule.supersedes)
        while frontier:
            if (current := frontier.pop()) not in reached:
                reached.add(current)
                frontier.extend(successors.get(current, ()))
        if located.rule.id in reached:
            yield located.error("supersedes_cycle", "supersedes itself, directly or through others", "break the cycle")


@check()
def queries(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that only variants of one topic share a query within a category."""
    by_query: dict[tuple[str, str], LocatedRule] = {}
    for located in corpus.rules:
        rule = located.rule
        first = by_query.setdefault((rule.category, rule.query), located)
        if first is not located and (rule.topic is None or rule.topic != first.rule.topic):
            yield located.error("ambiguous_query", f"the query is also that of {first.rule.id}", "change it, or give both the same topic")


@check()
def topics(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that a topic has several variants, which share category and query."""
    by_topic: dict[str, list[LocatedRule]] = defaultdict(list)
    for located in corpus.rules:
        if located.rule.topic:
            by_topic[located.rule.topic].append(located)
    for topic, (first, *others) in by_topic.items():
        if not others and corpus.complete:
            yield first.warning("dangling_topic", f"no other rule has the topic {topic!r}", "add its variant, or drop the topic")
        for located in others:
            for field in ("category", "query"):
                if getattr(located.rule, field) != getattr(first.rule, field):
                    message = f"has the topic of {first.rule.id} and a different {field}"
                    yield located.error("topic_mismatch", message, "variants differ in text and policy only")
