"""Checks of what rules say beside one another: duplicates, contradictions, examples, token budgets."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.corpus import EVERYWHERE, Rule
from ascl_core.rules.findings import Finding, PlacedRule
from ascl_core.rules.rendering import SIMILARITY_TOKENS, count_tokens, render_rule
from ascl_core.vocabulary import ResponsePolicy

Words = frozenset[tuple[str, int]]
"""The words of a text, each with its how-manieth occurrence, so that a word said twice counts twice."""
_ROUNDING = 1e-9


def duplicates(rules: Sequence[PlacedRule], config: RulesConfig) -> Iterator[Finding]:
    """No rule repeats the text of an earlier one, or almost; variants of one topic may be alike."""
    reported = set[int]()
    texts = [_words(placed.rule.text) for placed in rules]
    for i, j, similarity in _alike(tuple(placed.rule.text for placed in rules), config.near_duplicate_similarity):
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


@lru_cache(maxsize=1)
def _alike(texts: tuple[str, ...], threshold: float) -> tuple[tuple[int, int, float], ...]:
    """The similar pairs of the texts; kept, as two checks need them."""
    return tuple(similar_pairs([_numbered(_words(text)) for text in texts], threshold))


def similar_pairs(sets: Sequence[Words], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Every pair i < j whose Dice similarity, 2 |A & B| / (|A| + |B|), reaches the threshold t (above 0), exactly, and the similarity.

    As |B| >= |A & B|, such sets share at least t / (2 - t) of the elements of each, so they share one among the first
    |A| - ceil(t / (2 - t) |A|) + 1 of each in one global order (prefix filtering; Chaudhuri, Ganti and Kaushik 2006):
    with rare elements first only a few pairs are compared.
    """
    share = threshold / (2 - threshold)
    counts = Counter(element for members in sets for element in members)
    holders: dict[tuple[str, int], list[int]] = defaultdict(list)
    for j, members in enumerate(sets):
        ordered = sorted(members, key=lambda element: (counts[element], element))
        prefix = ordered[: len(ordered) - math.ceil(share * len(ordered) - _ROUNDING) + 1]
        for i in sorted({i for element in prefix for i in holders[element]}):
            similarity = 2 * len(sets[i] & members) / (len(sets[i]) + len(members))
            if similarity >= threshold:
                yield i, j, similarity
        for element in prefix:
            holders[element].append(j)


def contradicting_policies(rules: Sequence[PlacedRule], config: RulesConfig) -> Iterator[Finding]:
    """Rules about the same that are in force together with equal precedence ask for the same response.

    They are about the same if they share a topic, or within a category a query or a title, or if the text of one is
    almost that of the other.
    """
    for (i, j), shared in sorted(_about_the_same(rules, config.near_duplicate_similarity).items()):
        a, b = rules[i], rules[j]
        if a.rule.policy != b.rule.policy and a.rule.precedence == b.rule.precedence and together(a.rule, b.rule):
            message = f"{b.rule.policy} contradicts {a.rule.policy} of {a.rule.id}: same {shared}, place, time and precedence"
            yield b.error("contradicting_policies", message, "separate them by jurisdiction, dates or precedence")


def _about_the_same(rules: Sequence[PlacedRule], threshold: float) -> dict[tuple[int, int], str]:
    """What makes a pair of rules i < j be about the same, in words."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, placed in enumerate(rules):
        rule = placed.rule
        if rule.topic:
            groups["topic", rule.topic].append(number)
        groups["query", rule.category, rule.query].append(number)
        groups["title", rule.category, " ".join(_words(rule.title))].append(number)
    pairs: dict[tuple[int, int], str] = {}
    for (shared, *_), members in groups.items():
        for pair in combinations(members, 2):
            pairs.setdefault(pair, shared)
    for i, j, similarity in _alike(tuple(placed.rule.text for placed in rules), threshold):
        pairs.setdefault((i, j), "text" if similarity == 1 else "text but for a few words")
    return pairs


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
    return sum(size + SIMILARITY_TOKENS for size, _ in largest), [placed for _, placed in largest]


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
    return re.findall(r"\w+", text.casefold())


def _numbered(words: list[str]) -> Words:
    seen = Counter[str]()
    numbered = []
    for word in words:
        seen[word] += 1
        numbered.append((word, seen[word]))
    return frozenset(numbered)
