"""Checks over the whole corpus: ids, references, topics, coverage of hazards and areas, and versions against the lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.areas import count_by_area
from ascl_core.rules.content_checks import CONTENT_CHECKS, together
from ascl_core.rules.corpus import EVERYWHERE, Taxonomy
from ascl_core.rules.findings import Finding, PlacedRule
from ascl_core.rules.loading import TAXONOMY_FILE
from ascl_core.rules.text_checks import check_rule_text, check_taxonomy_text

HAZARDS = tuple(f"S{number}" for number in range(1, 15))
"""The MLCommons AILuminate hazards as Llama Guard 3 numbers them."""
RETIRED = "retired"
"""The version in the lock of an id that may not be given again."""


@dataclass(frozen=True)
class CorpusUnderCheck:
    """Everything a check may look at."""

    taxonomy: Taxonomy | None
    rules: tuple[PlacedRule, ...]
    config: RulesConfig
    lock: Mapping[str, Mapping[str, str]]
    """Rule id to `version` and `sha256` of the committed lock; a retired id has the version `retired`."""
    complete: bool = True
    """False where a file could not be read: then a rule that is not there is not missing."""


def run_checks(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """The findings of every check, in no particular order."""
    if corpus.taxonomy is not None:
        yield from check_taxonomy_text(corpus.taxonomy)
    for placed in corpus.rules:
        yield from check_rule_text(placed)
    for content_check in CONTENT_CHECKS:
        yield from content_check(corpus.rules, corpus.config)
    for check in CHECKS:
        yield from check(corpus)


def unique_ids(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """No id twice, and none that was retired."""
    first: dict[str, PlacedRule] = {}
    for placed in corpus.rules:
        rule_id = placed.rule.id
        if rule_id in first:
            yield placed.error("duplicate_id", f"the id is also used at {first[rule_id].where}", "give it a new id")
        elif corpus.lock.get(rule_id, {}).get("version") == RETIRED:
            yield placed.error("reused_id", "the id belonged to a retired rule", "give it a new id: ids are never reused")
        first.setdefault(rule_id, placed)


def names(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Categories and jurisdictions are in the taxonomy; an id starts with its category."""
    for placed in corpus.rules if corpus.taxonomy else ():
        assert corpus.taxonomy is not None
        rule = placed.rule
        if rule.category not in corpus.taxonomy.categories:
            yield placed.error("unknown_category", f"the category {rule.category!r} is not in the taxonomy", f"add it to {TAXONOMY_FILE}")
        elif not rule.id.startswith(f"{rule.category}-"):
            yield placed.error("id_category", f"the id does not start with its category {rule.category!r}", "give it a new id")
        for place in rule.jurisdictions:
            if place != EVERYWHERE and place not in corpus.taxonomy.jurisdictions:
                hint = f"add it to {TAXONOMY_FILE}, or use '*'"
                yield placed.error("unknown_jurisdiction", f"the jurisdiction {place!r} is not in the taxonomy", hint)


def references(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Rules that are named exist, and a rule that is replaced is not in force beside its successor."""
    by_id = {placed.rule.id: placed.rule for placed in corpus.rules}
    for placed in corpus.rules:
        rule = placed.rule
        for other in (*rule.supersedes, *rule.see_also):
            if corpus.complete and other not in by_id and other not in corpus.lock:
                yield placed.error("dangling_reference", f"refers to {other!r}, which does not exist", "correct it, or drop it")
        for other in rule.supersedes:
            if other in by_id and other != rule.id and together(rule, by_id[other]):
                message = f"supersedes {other}, which is in force at the same place and time"
                yield placed.error("superseded_in_force", message, f"set the status of {other} to deprecated, or give it an end")


def cycles(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """`supersedes` must not lead back to where it started."""
    successors = {placed.rule.id: placed.rule.supersedes for placed in corpus.rules}
    for placed in corpus.rules:
        start, seen = placed.rule.id, set[str]()
        frontier = list(placed.rule.supersedes)
        while frontier and start not in seen:
            current = frontier.pop()
            if current not in seen:
                seen.add(current)
                frontier.extend(successors.get(current, ()))
        if start in seen:
            yield placed.error("supersedes_cycle", "supersedes itself, directly or through others", "break the cycle")


def topics(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Variants of a topic are found by the same look-up, and no other rule is found by it."""
    by_topic: dict[str, list[PlacedRule]] = defaultdict(list)
    by_query: dict[tuple[str, str], PlacedRule] = {}
    for placed in corpus.rules:
        rule = placed.rule
        if rule.topic:
            by_topic[rule.topic].append(placed)
        first = by_query.setdefault((rule.category, rule.query), placed)
        if first is not placed and (rule.topic is None or rule.topic != first.rule.topic):
            yield placed.error("ambiguous_query", f"the query is also that of {first.rule.id}", "change it, or give both the same topic")
    for topic, (first, *others) in by_topic.items():
        if not others and corpus.complete:
            yield first.warning("dangling_topic", f"no other rule has the topic {topic!r}", "add its variant, or drop the topic")
        for placed in others:
            for field in ("category", "query"):
                if getattr(placed.rule, field) != getattr(first.rule, field):
                    message = f"has the topic of {first.rule.id} and another {field}"
                    yield placed.error("topic_mismatch", message, "variants differ in text and policy only")


def coverage(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Every category has a rule in force in every jurisdiction, and every hazard a category."""
    if corpus.taxonomy is None:
        return
    at, categories = corpus.config.at, corpus.taxonomy.categories
    for place in sorted(corpus.taxonomy.jurisdictions) if corpus.complete else ():
        covered = {placed.rule.category for placed in corpus.rules if placed.rule.in_force(at, place)}
        for missing in sorted(set(categories) - covered):
            message = f"the category {missing} has no rule in force in {place} at {at}"
            yield Finding("error", "uncovered_category", message, "write one, or drop the category", TAXONOMY_FILE)
    hazards = {hazard for category in categories.values() for hazard in category.hazards}
    for hazard in HAZARDS:
        if hazard not in hazards:
            yield Finding("error", "uncovered_hazard", f"no category maps to the hazard {hazard}", "map one to it", TAXONOMY_FILE)
    for hazard in sorted(hazards - set(HAZARDS)):
        hint = f"use {HAZARDS[0]} to {HAZARDS[-1]}"
        yield Finding("error", "unknown_hazard", f"the hazard {hazard!r} does not exist", hint, TAXONOMY_FILE)


def areas(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that categories name areas of the taxonomy, and that each area has a rule in force."""
    if corpus.taxonomy is None:
        return
    known = corpus.taxonomy.areas
    for key, category in corpus.taxonomy.categories.items():
        for unknown in sorted(set(category.areas) - set(known)):
            hint = f"add it to `areas` in {TAXONOMY_FILE}, or correct it"
            yield Finding(
                "error", "unknown_area", f"the category {key} names the area {unknown!r}, which is not listed", hint, TAXONOMY_FILE
            )
    rules = [placed.rule for placed in corpus.rules]
    for area, counts in count_by_area(corpus.taxonomy, rules, corpus.config.at).items() if corpus.complete else ():
        if not counts:
            message = f"no rule in force at {corpus.config.at} covers the area {area}"
            yield Finding("warning", "uncovered_area", message, "write one, and name the area in its category", TAXONOMY_FILE)


def versions(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Content that changed since the lock has a higher version, and the lock is up to date."""
    hint = "run `ascl rules lock`, and commit the lock"
    for placed in corpus.rules:
        locked = corpus.lock.get(placed.rule.id)
        if locked is None:
            yield placed.warning("not_locked", "the rule is not in the lock", hint)
        elif locked["version"] != RETIRED:
            yield from _version_findings(placed, locked)
    present = {placed.rule.id for placed in corpus.rules}
    for rule_id, locked in sorted(corpus.lock.items()) if corpus.complete else ():
        if rule_id not in present and locked["version"] != RETIRED:
            message = f"{rule_id} is in the lock and no longer in the corpus"
            yield Finding("warning", "removed_rule", message, "run `ascl rules lock` to retire its id", "rules.lock.json", None, rule_id)


def _version_findings(placed: PlacedRule, locked: Mapping[str, str]) -> Iterator[Finding]:
    rule = placed.rule
    before, now = _numbers(locked["version"]), _numbers(rule.version)
    if now < before:
        yield placed.error("version_back", f"the version went back from {locked['version']} to {rule.version}", "raise it")
    elif rule.sha256 != locked["sha256"] and now == before:
        hint = "raise it: patch for wording, minor for guidance, major where a verdict may flip"
        yield placed.error("version_bump", f"the content changed and the version is still {rule.version}", hint)
    elif now > before:
        yield placed.warning("stale_lock", f"the lock still has version {locked['version']}", "run `ascl rules lock`, and commit the lock")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


CHECKS: tuple[Callable[[CorpusUnderCheck], Iterator[Finding]], ...] = (
    unique_ids,
    names,
    references,
    cycles,
    topics,
    coverage,
    areas,
    versions,
)
"""The checks of this module; those of the contents and of each text are in the modules it imports."""
