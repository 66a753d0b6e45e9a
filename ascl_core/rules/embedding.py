"""Embeddings of rules: the vectors of a corpus, by any embedder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ascl_core.artifacts import sha256_bytes
from ascl_core.config.retrieval import Part, RetrievalConfig
from ascl_core.rules.corpus import Corpus, Rule


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def identity(self) -> str:
        """The identity of the model: a folder's name and digest, or a hub id and its revision."""

    def documents(self, texts: Sequence[str]) -> np.ndarray:
        """Return the unit vectors of parts of rules, float32 (N, D)."""

    def query(self, text: str) -> np.ndarray:
        """Return the unit vector of a query, float32 (D,)."""


@dataclass(frozen=True)
class RuleVectors:
    """The vectors of the rules of one corpus."""

    ids: tuple[str, ...]
    """The ids of the rules, in the order of the corpus."""
    values: np.ndarray
    """Unit vectors, float32 (rules, vectors a rule, D)."""
    config: RetrievalConfig
    embedder: Embedder
    """The embedder that made them, which embeds the queries."""

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {rule_id: row for row, rule_id in enumerate(self.ids)}

    def of(self, rules: Sequence[Rule]) -> np.ndarray:
        """Return the vectors of these rules, in their order."""
        return self.values[[self._rows[rule.id] for rule in rules]]

    @property
    def sha256(self) -> str:
        """SHA-256 over shape and values."""
        return sha256_bytes(repr(self.values.shape).encode() + self.values.tobytes())


def embed_rules(corpus: Corpus, config: RetrievalConfig, embedder: Embedder) -> RuleVectors:
    """Embed the configured parts of every rule.

    A part with several texts (examples) is the mean of theirs; `combine: mean` leaves one vector a rule, the mean of its parts.
    """
    texts = [[_texts(rule, part) for part in config.parts] for rule in corpus.rules]
    distinct = list(dict.fromkeys(text for rule in texts for part in rule for text in part))
    vectors = dict(zip(distinct, embedder.documents(distinct), strict=True)) if distinct else {}
    values = np.array([[_mean([vectors[text] for text in part]) for part in rule] for rule in texts], dtype=np.float32)
    if config.combine == "mean" and len(values):
        values = np.array([[_mean(list(rule))] for rule in values], dtype=np.float32)
    return RuleVectors(tuple(rule.id for rule in corpus.rules), values, config, embedder)


def _texts(rule: Rule, part: Part) -> list[str]:
    keywords = ", ".join(rule.keywords)
    match part:
        case "rule":
            return [f"{rule.title}. {rule.text} {keywords}."]
        case "whole":
            return [" ".join((*_texts(rule, "rule"), *rule.own_examples))]
        case "keywords":
            return [f"{rule.title}: {keywords}"]
        case "examples":
            return list(rule.own_examples) or [rule.query]
        case _:
            return [str(getattr(rule, part))]


def _mean(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Return the unit vector in the direction of the mean."""
    total = np.sum(vectors, axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-12)
