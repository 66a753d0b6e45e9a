"""Checks of what rules say beside one another: duplicates, contradictions, examples, token budgets."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.corpus import EVERYWHERE, Rule
from ascl_core.rules.findings import Finding, PlacedRule
from ascl_core.rules.rendering import count_tokens, render_rule
from ascl_core.vocabulary import ResponsePolicy

Shingles = frozenset[tuple[str, ...]]
_SHINGLE_WORDS = 3
_ROUNDING = 1e-9


def duplicates(rules: Sequence[PlacedRule], config: RulesConfig) -> Iterator[Finding]:
    """No rule repeats the text of an earlier one, or almost; variants of one topic may be alike."""
    reported = set[int]()
    texts = [_words(placed.rule.text) for placed in rules]
    for i, j, similarity in similar_pairs([_shingles(text) for text in texts], config.near_duplicate_similarity):
        first, second = rules[i], rules[j]
        same_topic = first.rule.topic is not None and first.rule.topic == second.rule.topic
        if j in reported or same_topic or first.rule.id == second.rule.id:
            continue
        reported.add(j)
        if texts[i] == texts[j]:
            yield second.error("duplicate_text", f"the text is that of {first.rule.id}", "merge the two rules")
        else:
            message = f"the text is almost that of {first.rule.id} (similarity {similarity:.2f})"
            yield second.warning("near_duplicate", message, "merge them, or make the difference plain")


def similar_pairs(sets: Sequence[Shingles], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Every pair i < j whose Jaccard similarity reaches the threshold (above 0), exactly, and the similarity.

    Two such sets share an element among the first |A| - ceil(t |A|) + 1 of each in one global order (prefix
    filtering; Chaudhuri, Ganti and Kaushik 2006), so with rare elements first only a few pairs are compared.
    """
    counts = Counter(element for members in sets for element in members)
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for j, members in enumerate(sets):
        ordered = sorted(members, key=lambda element: (counts[element], element))
        prefix = ordered[: len(ordered) - math.ceil(threshold * len(ordered) - _ROUNDING) + 1]
        for i in sorted({i for element in prefix for i in holders[element]}):
            similarity = len(sets[i] & members) / len(sets[i] | members)
            if similarity >= threshold:
                yield i, j, similarity
        for element in prefix:
            holders[element].append(j)


def contradicting_policies(rules: Sequence[PlacedRule], config: RulesConfig) -> Iterator[Finding]:
    """Rules of one topic that are in force together with equal precedence ask for the same response."""
    by_topic: dict[str, list[PlacedRule]] = defaultdict(list)
    for placed in rules:
        if placed.rule.topic:
            by_topic[placed.rule.topic].append(placed)
    for members in by_topic.values():
        for a, b in combinations(members, 2):
            if a.rule.policy != b.rule.policy and a.rule.precedence == b.rule.precedence and together(a.rule, b.rule):
                message = f"{b.rule.policy} contradicts {a.rule.policy} of {a.rule.id}: same topic, place, time and precedence"
                yield b.error("contradicting_policies", message, "separate them by jurisdiction, dates or precedence")


def contradicting_examples(rules: Sequence[PlacedRule], config: RulesConfig) -> Iterator[Finding]:
    """A prompt has one verdict at any place and time."""
    uses: dict[str, list[tuple[PlacedRule, ResponsePolicy]]] = defaultdict(list)
    for placed in rules:
        for example in placed.rule.examples:
            uses[" ".join(_words(example.prompt))].append((placed, example.verdict))
    for prompt, verdicts in uses.items():
        for (a, verdict_a), (b, verdict_b) in combinations(verdicts, 2):
            if verdict_a != verdict_b and together(a.rule, b.rule):
                message = f"the example {prompt!r} is {verdict_b} here and {verdict_a} in {a.rule.id}"
                yield b.error("contradicting_examples", message, "decide on one verdict")


def completeness(rules: Sequence[PlacedRule], config: RulesConfig) -> Iterator[Finding]:
    """A rule has an example of its own policy, a safe completion its elements, and an end that follows its start."""
    for placed in rules:
        rule = placed.rule
        if not any(example.verdict is rule.policy for example in rule.examples):
            yield placed.warning("no_example", f"no example has the verdict {rule.policy}", "add one")
        if (rule.policy is ResponsePolicy.SAFE_COMPLETION) != bool(rule.safe_completion):
            yield placed.error(
                "safe_completion_elements", "safe_completion rules, and only they, name elements", "add or drop safe_completion"
            )
        if rule.effective_until is not None and rule.effective_until <= rule.effective_from:
            yield placed.error("empty_period", "effective_until is not after effective_from", "correct the dates")


def budgets(rules: Sequence[PlacedRule], config: RulesConfig) -> Iterator[Finding]:
    """A rendered rule and the longest tool result that a look-up can return keep their token budgets."""
    sizes = [(count_tokens(render_rule(placed.rule)), placed) for placed in rules]
    for size, placed in sizes:
        if size > config.max_rule_tokens:
            message = f"{size} tokens when rendered, over the budget of {config.max_rule_tokens}"
            yield placed.error("rule_tokens", message, "shorten title or text, or raise rules.max_rule_tokens")
    places = sorted({place for placed in rules for place in placed.rule.jurisdictions})
    longest = max((_longest_result(sizes, place, config) for place in places), key=lambda result: result[0], default=(0, []))
    if longest[0] > config.max_tool_tokens:
        ids = ", ".join(placed.rule.id for placed in longest[1])
        message = f"a tool result with {ids} has {longest[0]} tokens, over the budget of {config.max_tool_tokens}"
        yield longest[1][0].error("tool_tokens", message, "shorten these rules, or raise rules.max_tool_tokens")


def _longest_result(sizes: Sequence[tuple[int, PlacedRule]], place: str, config: RulesConfig) -> tuple[int, list[PlacedRule]]:
    in_force = [(size, placed) for size, placed in sizes if placed.rule.in_force(config.at, place)]
    largest = heapq.nlargest(config.rules_per_result, in_force, key=lambda item: item[0])
    return sum(size for size, _ in largest), [placed for _, placed in largest]


CONTENT_CHECKS: tuple[Callable[[Sequence[PlacedRule], RulesConfig], Iterator[Finding]], ...] = (
    duplicates,
    contradicting_policies,
    contradicting_examples,
    completeness,
    budgets,
)
"""The checks of this module."""


def together(a: Rule, b: Rule) -> bool:
    """Whether there is a place and a day at which both rules are in force."""
    places = EVERYWHERE in (*a.jurisdictions, *b.jurisdictions) or not set(a.jurisdictions).isdisjoint(b.jurisdictions)
    before_a_ends = a.effective_until is None or b.effective_from < a.effective_until
    before_b_ends = b.effective_until is None or a.effective_from < b.effective_until
    return places and before_a_ends and before_b_ends and a.status == b.status == "active"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _shingles(words: list[str]) -> Shingles:
    return frozenset(tuple(words[i : i + _SHINGLE_WORDS]) for i in range(max(1, len(words) - _SHINGLE_WORDS + 1)))
