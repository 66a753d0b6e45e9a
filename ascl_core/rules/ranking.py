"""Ranking rules for a query: by words (BM25), by meaning (cosine of embeddings), or by both (reciprocal rank fusion).

A ranker belongs to a selection of rules, and breaks ties by their order.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
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
_SURE = 1e-3
"""A lead that no rounding of scores takes away."""
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
    return list(filter(None, map(_stem, _WORD.findall(text.lower()))))


@lru_cache(maxsize=1 << 10)
def query_words(query: str) -> tuple[str, ...]:
    """Return the words of a query, which is often asked of several selections of rules in a row."""
    return tuple(words(query))


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

    @cached_property
    def _postings(self) -> tuple[list[float], list[int], list[int], list[float]]:
        """By word of the vocabulary the highest score that it gives to any rule, and where its rules begin; these rules, and their scores.

        They are lists, as looking one value up in an array takes ten times as long.
        """
        assert self._index is not None
        data, rules, starts = (self._index.scores[name] for name in ("data", "indices", "indptr"))
        return np.maximum.reduceat(data, starts[:-1]).tolist(), starts.tolist(), rules.tolist(), data.tolist()

    def rank(self, query: str, limit: int) -> Ranked:
        """See `Ranker`."""
        asked = list(dict.fromkeys(query_words(query)))
        known = [word for word in asked if word in self._idf]
        if self._index is None or not known:
            return []
        scores = self._index.get_scores(known)
        most = sum(self._idf.get(word, self._unknown) for word in asked)
        return [(int(i), min(float(scores[i]) / most, 1.0)) for i in _best(scores, limit)]

    def leads(self, position: int, query: str) -> bool:
        """Return whether this rule certainly ranks first; False says nothing.

        A rule that overtakes it shares a word on which the lead can be lost (MaxScore; Turtle and Flood 1995), which is a rare one. So
        only the rules with these words are looked at.
        """
        if self._index is None:
            return False
        highest_of, starts, rules, data = self._postings
        known = [self._index.vocab_dict[word] for word in set(query_words(query)) if word in self._idf]
        spans = sorted([(highest_of[word], starts[word], starts[word + 1]) for word in known])
        lead = -_SURE
        for _, start, end in spans:
            found = bisect_left(rules, position, start, end)
            if found < end and rules[found] == position:
                lead += data[found]
        for number, (highest, _, _) in enumerate(spans):
            lead -= highest
            if lead <= 0:
                return self._leads_those(position, spans[number:], lead + highest)
        return lead > 0

    def _leads_those(self, position: int, spans: list[tuple[float, int, int]], lead: float) -> bool:
        """Return whether no other rule with the words of these spans gets as much from them as the lead."""
        _, _, rules, data = self._postings
        sums: dict[int, float] = defaultdict(float)
        for _, start, end in spans:
            for rule, score in zip(rules[start:end], data[start:end], strict=True):
                sums[rule] += score
        sums.pop(position, None)
        return max(sums.values(), default=0.0) < lead


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


@lru_cache(maxsize=1 << 12)
def _idf(num_rules: int, frequency: int) -> float:
    """Return Lucene's inverse document frequency, as `bm25s` computes it."""
    return float(np.log(1 + (num_rules - frequency + 0.5) / (frequency + 0.5)))


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    """Return the word without a plural `s`; a stop word is empty."""
    if word in _stop_words():
        return ""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    return frozenset(STOPWORDS_EN_PLUS)
