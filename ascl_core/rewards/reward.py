"""The reward of one rollout: the product of its gates, times the sum of its other terms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ascl_core.config.reward import TERMS, RewardConfig
from ascl_core.rewards.outcome import NOT_JUDGED, RIGHT, JudgedRollout


@dataclass(frozen=True)
class RewardParts:
    """The reward and what it is made of; a total of None means that no judge could say."""

    total: float | None
    components: dict[str, float]
    """The value of each term by name, in the order of the configuration; empty where no judge could say."""
    outcome: str
    """The name of a field of the term `graded`, or `not_judged`."""
    correct: bool = False
    """Whether the answer is right for its prompt, and no gate reduced its reward."""


def score(rollout: JudgedRollout, config: RewardConfig) -> RewardParts:
    """Return the reward of a rollout, R = P_h P_f (R_s + R_c - P_r) in the preset `paper` (arXiv 2602.13562, eq. 1).

    A judge that failed (None, or a refusal that it does not know) gives None, never a number; so does a failed judge of claims, where
    the reward has that term. A malformed rollout needs no judge.
    """
    unknown_claim = "hallucination" in config.terms and rollout.facts.valid and rollout.claims_lookup is None
    if rollout.outcome == NOT_JUDGED or unknown_claim:
        return RewardParts(None, {}, NOT_JUDGED)
    components = {name: term.value(rollout) for name, term in config.terms.items()}
    correct = rollout.outcome in RIGHT and gate_of(components) == 1.0
    return RewardParts(total_of(components), components, rollout.outcome, correct=correct)


def total_of(components: Mapping[str, float]) -> float:
    """Return the reward of terms by name: the product of the gates, times the sum of the others.

    >>> total_of({"hallucination": 1.0, "format": 0.5, "safety": 1.5, "retrieval": -0.5})
    0.5
    """
    return gate_of(components) * sum(value for name, value in components.items() if not TERMS.load(name).is_gate)


def gate_of(components: Mapping[str, float]) -> float:
    """Return the product of the gates among terms by name."""
    return math.prod(value for name, value in components.items() if TERMS.load(name).is_gate)
