"""Checks over the whole corpus: references, coverage, duplicates, contradictions, versions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.corpus import EVERYWHERE, Rule, Taxonomy
from ascl_core.rules.loading import Finding, PlacedRule

HAZARDS = tuple(f"S{number}" for number in range(1, 15))
"""The MLCommons AILuminate hazards as Llama Guard 3 numbers them."""
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class CorpusUnderCheck:
    """Everything a check may look at."""

    taxonomy: Taxonomy
    rules: tuple[PlacedRule, ...]
    config: RulesConfig
    lock: Mapping[str, Mapping[str, str]]
    """Rule id to `version` and `sha256` of the committed lock; a retired id has the version `retired`."""


def unique_ids(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """No id twice, and none that was retired."""
    first: dict[str, PlacedRule] = {}
    for placed in corpus.rules:
        rule_id = placed.rule.id
        if rule_id in first:
            yield placed.finding("error", "duplicate_id", f"id also used at {first[rule_id].file}:{first[rule_id].line}", "give it a new id")
        elif corpus.lock.get(rule_id, {}).get("version") == "retired":
            yield placed.finding("error", "reused_id", "id belonged to a retired rule", "give it a new id: ids are never reused")
        first.setdefault(rule_id, placed)


def references(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Categories, jurisdictions and other rules that are named must exist; the id starts with its category."""
    ids = {placed.rule.id for placed in corpus.rules}
    for placed in corpus.rules:
        rule = placed.rule
        if rule.category not in corpus.taxonomy.categories:
            yield placed.finding("error", "unknown_category", f"category {rule.category!r} is not in the taxonomy", "add it to taxonomy.yaml")
        elif not rule.id.startswith(f"{rule.category}-"):
            yield placed.finding("error", "id_category", f"id does not start with its category {rule.category!r}", "rename it")
        for place in rule.jurisdictions:
            if place != EVERYWHERE and place not in corpus.taxonomy.jurisdictions:
                yield placed.finding("error", "unknown_jurisdiction", f"jurisdiction {place!r} is not in the taxonomy", "add it, or use '*'")
        for other in (*rule.supersedes, *rule.see_also):
            if other not in ids and other not in corpus.lock:
                yield placed.finding("error", "dangling_reference", f"refers to {other!r}, which does not exist", "correct or drop it")


def cycles(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """`supersedes` must not lead back to where it started."""
    by_id = {placed.rule.id: placed for placed in corpus.rules}
    for start, placed in by_id.items():
        seen: set[str] = set()
        frontier = list(placed.rule.supersedes)
        while frontier:
            current = frontier.pop()
            if current == start:
                yield placed.finding("error", "cycle", "supersedes itself through " + " and ".join(sorted(seen | {start})), "break the cycle")
                break
            if current not in seen and current in by_id:
                seen.add(current)
                frontier.extend(by_id[current].rule.supersedes)


def coverage(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Every category has an active rule in every jurisdiction, and every hazard a category."""
    at, categories = corpus.config.at, corpus.taxonomy.categories
    for place in sorted(corpus.taxonomy.jurisdictions):
        covered = {placed.rule.category for placed in corpus.rules if placed.rule.in_force(at, place)}
        for missing in sorted(set(categories) - covered):
            message = f"category {missing} has no rule in force in {place} at {at}"
            yield Finding("error", "uncovered_category", message, "write one, or drop the category", "taxonomy.yaml")
    hazards = {hazard for category in categories.values() for hazard in category.hazards}
    for hazard in HAZARDS:
        if hazard not in hazards:
            yield Finding("warning", "uncovered_hazard", f"no category maps to hazard {hazard}", "map one to it", "taxonomy.yaml")
    for hazard in sorted(hazards - set(HAZARDS)):
        yield Finding("error", "unknown_hazard", f"hazard {hazard!r} does not exist", f"use {HAZARDS[0]} to {HAZARDS[-1]}", "taxonomy.yaml")


def duplicates(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """No two rules of the same text, or almost the same; variants of one topic may be alike."""
    texts = [(placed, " ".join(_words(placed.rule.text)), _ngrams(placed.rule.text)) for placed in corpus.rules]
    for (first, text_a, grams_a), (second, text_b, grams_b) in combinations(texts, 2):
        if first.rule.id == second.rule.id or (first.rule.topic and first.rule.topic == second.rule.topic):
            continue
        if text_a == text_b:
            yield second.finding("error", "duplicate", f"same text as {first.rule.id}", "merge the two rules")
        elif _jaccard(grams_a, grams_b) >= corpus.config.near_duplicate_similarity:
            yield second.finding("warning", "near_duplicate", f"almost the same text as {first.rule.id}", "merge them, or say the difference")


def contradictions(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Variants of one topic in force together with equal precedence must agree, and so must equal examples."""
    by_topic: dict[str, list[PlacedRule]] = defaultdict(list)
    by_example: dict[str, list[tuple[PlacedRule, str]]] = defaultdict(list)
    for placed in corpus.rules:
        if placed.rule.topic:
            by_topic[placed.rule.topic].append(placed)
        for example in placed.rule.examples:
            by_example[" ".join(_words(example.prompt))].append((placed, example.verdict))
    for members in by_topic.values():
        for a, b in combinations(members, 2):
            if a.rule.policy != b.rule.policy and a.rule.precedence == b.rule.precedence and together(a.rule, b.rule):
                message = f"{b.rule.policy} contradicts {a.rule.policy} of {a.rule.id}: same topic, place, time and precedence"
                yield b.finding("error", "contradicting_policy", message, "separate them by jurisdiction, date or precedence")
    for prompt, uses in by_example.items():
        for (a, verdict_a), (b, verdict_b) in combinations(uses, 2):
            if verdict_a != verdict_b and together(a.rule, b.rule):
                message = f"example {prompt!r} is {verdict_b} here and {verdict_a} in {a.rule.id}"
                yield b.finding("error", "contradicting_example", message, "decide on one verdict")


def examples(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Every rule has an example, at least one of them with its own policy; safe completions name their elements."""
    for placed in corpus.rules:
        rule = placed.rule
        if not any(example.verdict is rule.policy for example in rule.examples):
            yield placed.finding("warning", "no_example", f"no example with the verdict {rule.policy}", "add one")
        if rule.policy == "safe_completion" and not rule.safe_completion:
            yield placed.finding("error", "no_elements", "a safe_completion rule must name its elements", "add safe_completion elements")
        if rule.effective_until is not None and rule.effective_until <= rule.effective_from:
            yield placed.finding("error", "dates", "effective_until is not after effective_from", "correct the dates")


def budgets(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """A rendered rule and the longest possible tool result keep their token budgets."""
    sizes: dict[str, list[int]] = defaultdict(list)
    for placed in corpus.rules:
        rule = placed.rule
        size = count_tokens(f"[{rule.id}] {rule.policy}: {rule.title}. {rule.text}")
        sizes[rule.category].append(size)
        if size > corpus.config.max_rule_tokens:
            message = f"{size} tokens when rendered, over the budget of {corpus.config.max_rule_tokens}"
            yield placed.finding("error", "rule_tokens", message, "shorten title or text, or raise rules.max_rule_tokens")
    largest = max((sum(sorted(size)[-2:]) for size in sizes.values()), default=0)
    if largest > corpus.config.max_tool_tokens:
        message = f"two rules of one category take {largest} tokens, over the budget of {corpus.config.max_tool_tokens}"
        yield Finding("warning", "tool_tokens", message, "shorten rules, or raise rules.max_tool_tokens", "taxonomy.yaml")


def versions(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Content that changed since the lock needs a higher version; a locked rule may not vanish without being retired."""
    for placed in corpus.rules:
        locked = corpus.lock.get(placed.rule.id)
        if locked is None or locked["version"] == "retired":
            continue
        before, now = _version(locked["version"]), _version(placed.rule.version)
        if placed.rule.sha256 != locked["sha256"] and now <= before:
            message = f"content changed, version is still {placed.rule.version}"
            yield placed.finding("error", "version_bump", message, "raise the version: patch for wording, minor for guidance, major for a verdict")
        elif now < before:
            yield placed.finding("error", "version_back", f"version went back from {locked['version']} to {placed.rule.version}", "raise it")
    present = {placed.rule.id for placed in corpus.rules}
    for rule_id, locked in sorted(corpus.lock.items()):
        if rule_id not in present and locked["version"] != "retired":
            message = f"rule {rule_id} is in the lock and no longer in the corpus"
            yield Finding("warning", "removed", message, "run `ascl rules lock` to retire its id", "rules.lock.json", None, rule_id)


CHECKS: tuple[Callable[[CorpusUnderCheck], Iterator[Finding]], ...] = (
    unique_ids,
    references,
    cycles,
    coverage,
    duplicates,
    contradictions,
    examples,
    budgets,
    versions,
)
"""Every check over the corpus; the checks of a rule's text are in `ascl_core.rules.text_checks`."""


def together(a: Rule, b: Rule) -> bool:
    """Whether there is a place and a day at which both rules are in force."""
    places = EVERYWHERE in (*a.jurisdictions, *b.jurisdictions) or bool(set(a.jurisdictions) & set(b.jurisdictions))
    a_first = a.effective_until is None or b.effective_from < a.effective_until
    b_first = b.effective_until is None or a.effective_from < b.effective_until
    return places and a_first and b_first and a.status == b.status == "active"


def count_tokens(text: str) -> int:
    """Words and punctuation marks: an estimate that needs no tokenizer, for budgets."""
    return len(_TOKEN.findall(text))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _ngrams(text: str, n: int = 3) -> frozenset[tuple[str, ...]]:
    words = _words(text)
    return frozenset(Counter(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))))


def _jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
