"""Looking rules up: by category, by query, at a day and in a jurisdiction (BM25 by `bm25s`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.rules.rendering import NO_MATCH, render_rule, render_rules

if TYPE_CHECKING:
    import bm25s

__all__ = ["NO_MATCH", "RuleIndex", "render_rule", "render_rules", "words"]

_WORD = re.compile(r"[a-z0-9]+")
_QUERY_WEIGHT = 2
"""How often the canonical query counts as part of a rule's document, against once for everything else."""


def words(text: str) -> list[str]:
    """The lower-case words that say what a text is about: no stop words, and a plural `s` cut off."""
    return [_singular(word) for word in _WORD.findall(text.lower()) if word not in _stop_words()]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    return frozenset(STOPWORDS_EN_PLUS)


@dataclass(frozen=True)
class _Shelf:
    """The rules of one jurisdiction and category, by precedence and id, and their BM25 index."""

    rules: tuple[Rule, ...]
    index: bm25s.BM25 | None
    vocabulary: frozenset[str]


class RuleIndex:
    """The rules in force at one day; indexes are built per jurisdiction and category when first asked for."""

    def __init__(self, corpus: Corpus, at: date) -> None:
        self.corpus = corpus
        self.at = at
        self._in_force: dict[str, tuple[Rule, ...]] = {}
        self._shelves: dict[tuple[str, str | None], _Shelf] = {}
        self._canonical: dict[str, dict[tuple[str, ...], tuple[Rule, ...]]] = {}

    def lookup(self, *, category: str | None, query: str, jurisdiction: str, limit: int) -> tuple[Rule, ...]:
        """At most `limit` rules, best first; ties go to precedence, then to the id.

        An unknown or missing category searches all categories, and so does a query that is the canonical one of rules
        elsewhere and of none in the category: a topic that moved to a new category is found by those who know the old one.
        A query without a matching word returns the rules of the category by precedence, and nothing where there is no
        category either.
        """
        known = category if category in self.corpus.categories else None
        asked = tuple(words(query))
        named = self._named(jurisdiction).get(asked, ())
        if known and named and all(rule.category != known for rule in named):
            return named[:limit]
        shelf = self._shelf(jurisdiction, known)
        terms = [word for word in dict.fromkeys(asked) if word in shelf.vocabulary]
        if shelf.index is None or not terms:
            return shelf.rules[:limit] if known else ()
        # The shelf is in order of precedence and id, so that a stable sort by score breaks ties by them.
        scores = np.round(shelf.index.get_scores(terms), 6)
        return tuple(shelf.rules[i] for i in _best(scores, limit))

    def _shelf(self, jurisdiction: str, category: str | None) -> _Shelf:
        if (jurisdiction, category) not in self._shelves:
            rules = tuple(rule for rule in self._rules_in(jurisdiction) if category in (None, rule.category))
            self._shelves[jurisdiction, category] = _build(rules)
        return self._shelves[jurisdiction, category]

    def _named(self, jurisdiction: str) -> dict[tuple[str, ...], tuple[Rule, ...]]:
        """The rules by the words of their canonical query, each in the order of precedence and id."""
        if jurisdiction not in self._canonical:
            found: dict[tuple[str, ...], tuple[Rule, ...]] = {}
            for rule in self._rules_in(jurisdiction):
                key = tuple(words(rule.query))
                found[key] = (*found.get(key, ()), rule)
            self._canonical[jurisdiction] = found
        return self._canonical[jurisdiction]

    def _rules_in(self, jurisdiction: str) -> tuple[Rule, ...]:
        if jurisdiction not in self._in_force:
            rules = self.corpus.active(self.at, jurisdiction)
            self._in_force[jurisdiction] = tuple(sorted(rules, key=lambda rule: (-rule.precedence, rule.id)))
        return self._in_force[jurisdiction]


def _best(scores: np.ndarray, limit: int) -> np.ndarray:
    """Positions of the `limit` highest positive scores, in a stable order; sorts those that can be among them alone."""
    able = np.flatnonzero(scores > 0)
    if 0 < limit < len(able):
        able = able[scores[able] >= np.partition(scores[able], -limit)[-limit]]
    return able[np.argsort(-scores[able], kind="stable")[:limit]]


def _build(rules: tuple[Rule, ...]) -> _Shelf:
    import bm25s

    documents = [words(_document(rule)) for rule in rules]
    vocabulary = frozenset(word for document in documents for word in document)
    if not vocabulary:
        return _Shelf(rules, None, vocabulary)
    index = bm25s.BM25()
    index.index(documents, show_progress=False)
    return _Shelf(rules, index, vocabulary)


def _document(rule: Rule) -> str:
    """What a rule is found by; its own examples are in it, as a model asks in the words of its prompt."""
    examples = [example.prompt for example in rule.examples if example.verdict is rule.policy]
    return " ".join((*[rule.query] * _QUERY_WEIGHT, rule.title, *rule.keywords, rule.text, *examples))


@dataclass(frozen=True)
class RuleTool:
    """The tool in one jurisdiction, which the model does not see."""

    index: RuleIndex
    jurisdiction: str
    rules_per_lookup: int

    def __call__(self, category: str, query: str) -> str:
        """The matching active rules, rendered with their ids."""
        rules = self.index.lookup(category=category, query=query, jurisdiction=self.jurisdiction, limit=self.rules_per_lookup)
        return render_rules(rules)
