"""Compare two checkpoints on the same prompts, by McNemar's exact test and a paired bootstrap; samples of a prompt count once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ascl_core.contracts import EvaluatedRollout
from ascl_core.evaluation.intervals import resampled_ratio
from ascl_core.evaluation.measures import right
from ascl_core.vocabulary import PromptType


@dataclass(frozen=True)
class PairedTest:
    """The difference of two checkpoints on the prompts that both answered."""

    metric: str
    n: int
    """Prompts in common."""
    difference: float
    """Candidate minus reference, in shares of right answers."""
    low: float
    high: float
    better: int
    """Prompts that only the candidate got right (majority of its samples)."""
    worse: int
    p_value: float
    """McNemar's exact two-sided test on `better` against `worse`."""

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `decision.json`."""
        return asdict(self)


def compare(candidate: Sequence[EvaluatedRollout], reference: Sequence[EvaluatedRollout], seed: int = 0) -> list[PairedTest]:
    """Return a paired test for each prompt type, and for dual-use prompts, that both sets have; types without data are left out."""
    kinds = [*PromptType, "dual_use"]
    tests = (_test(f"right/{kind}", _scores(candidate, kind), _scores(reference, kind), seed) for kind in kinds)
    return [test for test in tests if test is not None]


def mcnemar(better: int, worse: int) -> float:
    """Return the two-sided exact p-value of McNemar's test: a binomial test of the discordant pairs.

    >>> round(mcnemar(9, 1), 4)
    0.0215
    """
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse, 0.5).pvalue) if better + worse else 1.0


def _scores(rows: Sequence[EvaluatedRollout], kind: str) -> dict[tuple[str, str], float]:
    """Return the share of right answers to each prompt of a kind."""
    scores: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        if row.dual_use if kind == "dual_use" else row.prompt_type == kind:
            scores[row.suite, row.prompt_id].append(right(row))
    return {key: sum(values) / len(values) for key, values in scores.items()}


def _test(name: str, candidate: dict[tuple[str, str], float], reference: dict[tuple[str, str], float], seed: int) -> PairedTest | None:
    common = sorted(candidate.keys() & reference.keys())
    if not common:
        return None
    a = np.array([candidate[key] for key in common])
    b = np.array([reference[key] for key in common])
    low, high = np.quantile(resampled_ratio(a - b, np.ones(len(common)), np.random.default_rng(seed)), [0.025, 0.975])
    better, worse = int(((a > 0.5) & (b <= 0.5)).sum()), int(((a <= 0.5) & (b > 0.5)).sum())
    return PairedTest(name, len(common), float((a - b).mean()), float(low), float(high), better, worse, mcnemar(better, worse))
