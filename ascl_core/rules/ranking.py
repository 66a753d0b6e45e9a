"""Ranking rules for a query: by words (BM25), by meaning (cosine of embeddings), or by both (reciprocal rank fusion).

A ranker belongs to a selection of rules, and breaks ties by their order.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ascl_core.config.retrieval import RetrievalConfig
from ascl_core.rules.corpus import Rule
from ascl_core.rules.embedding import Embedder, RuleVectors
from ascl_core.rules.nearest import NearestRules

if TYPE_CHECKING:
    import bm25s

_WORD = re.compile(r"[a-z0-9]+")
_QUERY_WEIGHT = 2
"""How often the canonical query counts as part of a rule's document, against once for everything else."""
_TIE = 1e-6
_FUSED = 100
"""How deep reciprocal rank fusion reads each ranking, at least."""
Ranked = list[tuple[int, float]]
"""Positions of rules, best first, each with its similarity to the query, in [0, 1]."""


class Ranker(Protocol):
    """Ranks a selection of rules."""

    def rank(self, query: str, limit: int) -> Ranked:
        """Return at most `limit` rules; none if nothing in the selection is like the query."""


def make_ranker(rules: Sequence[Rule], vectors: RuleVectors | None) -> Ranker:
    """Return the ranker that `retrieval.backend` asks for: by words if there are no vectors."""
    if vectors is None:
        return WordRanker(rules)
    by_meaning = MeaningRanker(vectors.of(rules), vectors.embedder)
    return by_meaning if vectors.config.backend == "dense" else FusedRanker(WordRanker(rules), by_meaning, vectors.config)


def words(text: str) -> list[str]:
    """Return the lower-case words that say what a text is about: no stop words, and a plural `s` cut off."""
    return [_singular(word) for word in _WORD.findall(text.lower()) if word not in _stop_words()]


def document(rule: Rule) -> str:
    """Return the text that a rule is found by; its own examples are in it, as a model asks in the words of its prompt."""
    return " ".join((*[rule.query] * _QUERY_WEIGHT, rule.title, *rule.keywords, rule.text, *rule.own_examples))


class WordRanker:
    """BM25 (Robertson and Zaragoza 2009; `bm25s`). The similarity is the share of the query's information that a rule covers.

    That is its score over the sum of the idf of the query's words, which no score can exceed.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        import bm25s

        documents = [words(document(rule)) for rule in rules]
        frequency = Counter(word for found in documents for word in set(found))
        self._idf = {word: _idf(len(rules), count) for word, count in frequency.items()}
        self._unknown = _idf(len(rules), 0)
        self._index: bm25s.BM25 | None = None
        if self._idf:
            self._index = bm25s.BM25()
            self._index.index(documents, show_progress=False)

    def rank(self, query: str, limit: int) -> Ranked:
        """See `Ranker`."""
        asked = list(dict.fromkeys(words(query)))
        known = [word for word in asked if word in self._idf]
        if self._index is None or not known:
            return []
        scores = self._index.get_scores(known)
        most = sum(self._idf.get(word, self._unknown) for word in asked)
        return [(int(i), min(float(scores[i]) / most, 1.0)) for i in _best(scores, limit)]


class MeaningRanker:
    """Cosine of embeddings; of several vectors of a rule, the best counts.

    Args:
        vectors: Unit vectors (rules, vectors a rule, dimensions), float32.
        embedder: Embeds the queries.
    """

    def __init__(self, vectors: np.ndarray, embedder: Embedder) -> None:
        self.nearest = NearestRules(vectors)
        self.embedder = embedder

    def rank(self, query: str, limit: int) -> Ranked:
        """See `Ranker`."""
        return self.rank_vector(self.embedder.query(query), limit)

    def rank_vector(self, query: np.ndarray, limit: int) -> Ranked:
        """Return the rules nearest to a query's unit vector (D,)."""
        positions, cosines = self.nearest.near(query, limit)
        return [(int(positions[i]), _similarity(cosines[i])) for i in _best(cosines, limit)]


class FusedRanker:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): the sum of weight / (k + rank) over both rankings.

    The similarity is the cosine.
    """

    def __init__(self, by_words: WordRanker, by_meaning: MeaningRanker, config: RetrievalConfig) -> None:
        self._by_words, self._by_meaning, self._config = by_words, by_meaning, config

    def rank(self, query: str, limit: int) -> Ranked:
        """See `Ranker`."""
        depth = max(limit, _FUSED)
        vector = self._by_meaning.embedder.query(query)
        by_words, by_meaning = self._by_words.rank(query, depth), self._by_meaning.rank_vector(vector, depth)
        fused: dict[int, float] = defaultdict(float)
        for ranked, weight in ((by_words, self._config.word_weight), (by_meaning, 1.0)):
            for rank, (position, _) in enumerate(ranked, start=1):
                fused[position] += weight / (self._config.rank_constant + rank)
        best = sorted(fused, key=lambda position: (-fused[position], position))[:limit]
        cosines = self._by_meaning.nearest.cosines(vector, best) if best else ()
        return [(position, _similarity(cosine)) for position, cosine in zip(best, cosines, strict=True)]


def _similarity(cosine: float) -> float:
    """Return a cosine as a similarity in [0, 1]; an opposite meaning is 0."""
    return min(max(float(cosine), 0.0), 1.0)


def _best(scores: np.ndarray, limit: int) -> np.ndarray:
    """Return the positions of the `limit` highest positive scores, in a stable order; scores that agree to six digits are a tie.

    Only scores that can be among them are rounded and sorted.
    """
    able = np.flatnonzero(scores > 0)
    if 0 < limit < len(able):
        able = able[scores[able] >= np.partition(scores[able], -limit)[-limit] - _TIE]
    rounded = np.round(scores[able], 6)
    order = np.argsort(-rounded, kind="stable")[:limit]
    return able[order[rounded[order] > 0]]


def _idf(num_rules: int, frequency: int) -> float:
    """Return Lucene's inverse document frequency, as `bm25s` computes it."""
    return float(np.log(1 + (num_rules - frequency + 0.5) / (frequency + 0.5)))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    return frozenset(STOPWORDS_EN_PLUS)
