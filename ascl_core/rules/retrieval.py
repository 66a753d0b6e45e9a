"""Looking rules up: by category, by query, at a day and in a jurisdiction (BM25 by `bm25s`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import bm25s
import numpy as np

from ascl_core.rules.corpus import Corpus, Rule

NO_MATCH = "No rule matches."
_WORD = re.compile(r"[a-z0-9]+")
_MARKUP = re.compile(r"<[^>\n]{0,80}>|\[/?[A-Z_]{2,20}\]|[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069]")


def words(text: str) -> list[str]:
    """Lower-case words with a plural `s` cut off: a light stemming that needs no language data."""
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in _WORD.findall(text.lower())]


class RuleIndex:
    """The rules in force at one day; indexes are built per jurisdiction and category when first asked for."""

    def __init__(self, corpus: Corpus, at: date) -> None:
        self.corpus = corpus
        self.at = at
        self._shelf = cache(self._build)

    def lookup(self, *, category: str | None, query: str, jurisdiction: str, limit: int) -> tuple[Rule, ...]:
        """At most `limit` rules, best first; ties go to precedence, then to the id.

        An unknown or missing category searches all categories. A query without a matching word returns the
        rules of the category by precedence, and nothing where there is no category either.
        """
        known = category if category in self.corpus.categories else None
        rules, index, vocabulary = self._shelf(jurisdiction, known)
        if not rules:
            return ()
        terms = [word for word in words(query) if word in vocabulary]
        if not terms:
            ranked = sorted(rules, key=lambda rule: (-rule.precedence, rule.id)) if known else []
            return tuple(ranked[:limit])
        scores = np.asarray(index.get_scores(terms))
        order = sorted(np.flatnonzero(scores > 0), key=lambda i: (-round(float(scores[i]), 6), -rules[i].precedence, rules[i].id))
        return tuple(rules[i] for i in order[:limit])

    def _build(self, jurisdiction: str, category: str | None) -> tuple[tuple[Rule, ...], Any, frozenset[str]]:
        rules = tuple(r for r in self.corpus.active(self.at, jurisdiction) if category is None or r.category == category)
        if not rules:
            return (), None, frozenset()
        documents = [words(" ".join((r.query, r.query, r.title, *r.keywords, r.text))) for r in rules]
        index = bm25s.BM25()
        index.index(documents, show_progress=False)
        return rules, index, frozenset(word for document in documents for word in document)


def render_rule(rule: Rule) -> str:
    """One line for a tool result: id, policy, title and text, with anything that looks like markup taken out."""
    line = f"[{rule.id}] {rule.policy}: {rule.title}. {rule.text}"
    return line[: len(rule.id) + 2] + " ".join(_MARKUP.sub(" ", line[len(rule.id) + 2 :]).split(" ")).rstrip()


def render_rules(rules: Sequence[Rule]) -> str:
    """The text of a tool result: one line a rule, or that none matches."""
    return "\n".join(render_rule(rule) for rule in rules) or NO_MATCH
