"""Checks of what rules say: duplicates, contradictions, examples, token budgets."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, combinations
from operator import itemgetter
from typing import Any

from ascl_core.rules.checks.registry import CorpusUnderCheck, check
from ascl_core.rules.findings import Finding, LocatedRule
from ascl_core.rules.rendering import SIMILARITY_TOKENS, count_tokens, render_rule
from ascl_core.vocabulary import ResponsePolicy

Words = frozenset[Hashable]
"""The words of a text as a multiset: a word, and for each repetition the word with its number."""
_ROUNDING = 1e-9
_WORD = re.compile(r"\w+")
_SHARED = 3
"""How many rare words two texts must share before they are compared, unless they are shorter."""


@check()
def duplicates(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that no rule repeats, or nearly repeats, the text of an earlier one; variants of one topic may be alike."""
    reported = set[int]()
    for i, j, similarity in _similar_texts(corpus):
        if j in reported:
            continue
        first, second = corpus.rules[i], corpus.rules[j]
        same_topic = first.rule.topic is not None and first.rule.topic == second.rule.topic
        if same_topic or first.rule.id == second.rule.id:
            continue
        reported.add(j)
        if _words(first.rule.text) == _words(second.rule.text):
            yield second.error("duplicate_text", f"the text is that of {first.rule.id}", "merge the two rules")
        else:
            message = f"the text is almost that of {first.rule.id} (similarity {similarity:.2f})"
            yield second.warning("near_duplicate", message, "merge them, or make the difference plain")


def _similar_texts(corpus: CorpusUnderCheck) -> tuple[tuple[int, int, float], ...]:
    return _similar(tuple(located.rule.text for located in corpus.rules), corpus.config.near_duplicate_similarity)


@lru_cache(maxsize=1)  # two checks need them
def _similar(texts: tuple[str, ...], threshold: float) -> tuple[tuple[int, int, float], ...]:
    return tuple(similar_pairs([_multiset(text) for text in texts], threshold))


def similar_pairs(sets: Sequence[frozenset[Any]], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Yield every pair i < j whose Dice similarity, 2 |A & B| / (|A| + |B|), is at least the threshold t (above 0), with the similarity.

    As |B| >= |A & B|, such sets share at least a = ceil(t / (2 - t) |A|) of the elements of each. So they share k among the first
    |A| - a + k of each in one global order (prefix filtering; Chaudhuri, Ganti and Kaushik 2006; Wang, Li and Feng 2012 for k > 1):
    with rare elements first only a few pairs are compared.
    """
    share = threshold / (2 - threshold)
    counts = Counter(chain.from_iterable(sets))
    order = {element: number for number, (element, _) in enumerate(sorted(counts.items(), key=itemgetter(1)))}
    holders: list[list[int]] = [[] for _ in order]
    shared_by: list[int] = []
    least = _SHARED
    for j, members in enumerate(sets):
        ordered = sorted(map(order.__getitem__, members))
        overlap = math.ceil(share * len(ordered) - _ROUNDING)
        shared_by.append(min(_SHARED, overlap))
        least = min(least, shared_by[j])
        prefix = ordered[: len(ordered) - overlap + shared_by[j]]
        found = Counter(chain.from_iterable(holders[element] for element in prefix))
        for i in sorted([i for i, number in found.items() if number >= _SHARED or least <= number >= min(shared_by[i], shared_by[j])]):
            similarity = 2 * len(sets[i] & members) / (len(sets[i]) + len(members))
            if similarity >= threshold:
                yield i, j, similarity
        for element in prefix:
            holders[element].append(j)


@check()
def contradicting_policies(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that rules on the same subject that are in force together with equal precedence ask for the same response.

    Two rules have the same subject if they share a topic, or within a category a query or a title, or if the text of one is
    almost that of the other.
    """
    for (i, j), shared in sorted(_same_subject(corpus).items()):
        a, b = corpus.rules[i], corpus.rules[j]
        if a.rule.precedence == b.rule.precedence and a.rule.overlaps(b.rule):
            message = f"{b.rule.policy} contradicts {a.rule.policy} of {a.rule.id}: same {shared}, jurisdiction, time and precedence"
            yield b.error("contradicting_policies", message, "separate them by jurisdiction, dates or precedence")


def _same_subject(corpus: CorpusUnderCheck) -> dict[tuple[int, int], str]:
    """Return each pair of rules i < j on the same subject with different policies, with what they share."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, located in enumerate(corpus.rules):
        rule = located.rule
        if rule.topic:
            groups["topic", rule.topic].append(number)
        groups["query", rule.category, rule.query].append(number)
        groups["title", rule.category, " ".join(_words(rule.title))].append(number)
    policies = [located.rule.policy for located in corpus.rules]  # asked first: of a million pairs few differ
    pairs: dict[tuple[int, int], str] = {}
    for (shared, *_), members in groups.items():
        for i, j in combinations(members, 2):
            if policies[i] is not policies[j]:
                pairs.setdefault((i, j), shared)
    for i, j, similarity in _similar_texts(corpus):
        if policies[i] is not policies[j]:
            pairs.setdefault((i, j), "text" if similarity == 1 else "text but for a few words")
    return pairs


@check()
def contradicting_examples(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that a prompt has one verdict in any jurisdiction at any time."""
    uses: dict[str, list[tuple[LocatedRule, ResponsePolicy]]] = defaultdict(list)
    for located in corpus.rules:
        for example in located.rule.examples:
            uses[" ".join(_words(example.prompt))].append((located, example.verdict))
    for prompt, verdicts in uses.items():
        for (a, verdict_a), (b, verdict_b) in combinations(verdicts, 2):
            if verdict_a != verdict_b and a.rule.overlaps(b.rule):
                message = f"the example {prompt!r} is {verdict_b} here and {verdict_a} in {a.rule.id}"
                yield b.error("contradicting_examples", message, "decide on one verdict")


@check()
def completeness(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that a rule has an example of its own policy, a safe completion its elements, and an end that follows its start."""
    for located in corpus.rules:
        rule = located.rule
        if not rule.own_examples:
            yield located.warning("no_example", f"no example has the verdict {rule.policy}", "add one")
        if (rule.policy is ResponsePolicy.SAFE_COMPLETION) != bool(rule.safe_completion):
            message = "safe_completion rules, and only they, name elements"
            yield located.error("safe_completion_elements", message, "add or drop safe_completion")
        if rule.effective_until is not None and rule.effective_until <= rule.effective_from:
            yield located.error("empty_period", "effective_until is not after effective_from", "correct the dates")


@check()
def budgets(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that a rendered rule and the longest tool result that a look-up can return keep their token budgets."""
    config = corpus.config
    sizes = [(count_tokens(render_rule(located.rule)), located) for located in corpus.rules]
    for size, located in sizes:
        if size > config.max_rule_tokens:
            message = f"{size} tokens when rendered, over the budget of {config.max_rule_tokens}"
            yield located.error("rule_tokens", message, "shorten title or text, or raise rules.max_rule_tokens")
    longest, total = list[tuple[int, LocatedRule]](), 0
    for jurisdiction in sorted({name for located in corpus.rules for name in located.rule.jurisdictions}):
        in_force = [(size, located) for size, located in sizes if located.rule.in_force(config.at, jurisdiction)]
        largest = heapq.nlargest(config.rules_per_result, in_force, key=lambda item: item[0])
        if (tokens := sum(size + SIMILARITY_TOKENS for size, _ in largest)) > total:
            longest, total = largest, tokens
    if total > config.max_tool_tokens:
        ids = ", ".join(located.rule.id for _, located in longest)
        message = f"a tool result with {ids} has {total} tokens, over the budget of {config.max_tool_tokens}"
        yield longest[0][1].error("tool_tokens", message, "shorten these rules, or raise rules.max_tool_tokens")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _multiset(text: str) -> Words:
    words = _words(text)
    once = frozenset[Hashable](words)
    if len(once) == len(words):
        return once
    return once | {(word, number) for word, count in Counter(words).items() for number in range(2, count + 1)}
