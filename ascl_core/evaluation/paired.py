"""Comparing two checkpoints on the same prompts: McNemar's exact test and a paired bootstrap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from ascl_core.contracts import EvaluatedRollout
from ascl_core.evaluation.metrics import is_right
from ascl_core.vocabulary import PromptType

_RESAMPLES = 2000


@dataclass(frozen=True)
class PairedTest:
    """The difference of two checkpoints on the prompts that both answered."""

    metric: str
    n: int
    """Prompts in common."""
    difference: float
    """Candidate minus reference."""
    low: float
    high: float
    better: int
    """Prompts that only the candidate got right (majority of its samples)."""
    worse: int
    p_value: float
    """McNemar's exact two-sided test on `better` against `worse`."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in `decision.json`."""
        return asdict(self)


def compare(candidate: Sequence[EvaluatedRollout], reference: Sequence[EvaluatedRollout], seed: int = 0) -> list[PairedTest]:
    """A paired test for each prompt type, and for dual-use prompts, that both sets hold; types without data are left out."""
    kinds: dict[str, Callable[[EvaluatedRollout], bool]] = {f"right/{kind}": partial(_is_of, kind) for kind in PromptType}
    kinds["right/dual_use"] = lambda row: row.dual_use
    tests = (_test(name, _scores(candidate, keep), _scores(reference, keep), seed) for name, keep in kinds.items())
    return [test for test in tests if test is not None]


def mcnemar(better: int, worse: int) -> float:
    """Two-sided exact p-value of McNemar's test: a binomial test of the discordant pairs.

    >>> round(mcnemar(9, 1), 4)
    0.0215
    """
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse, 0.5).pvalue) if better + worse else 1.0


def _is_of(kind: PromptType, row: EvaluatedRollout) -> bool:
    return row.prompt_type is kind


def _scores(rows: Sequence[EvaluatedRollout], keep: Callable[[EvaluatedRollout], bool]) -> dict[tuple[str, str], float]:
    scores: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        if keep(row):
            scores[row.suite, row.prompt_id].append(is_right(row))
    return {key: sum(values) / len(values) for key, values in scores.items()}


def _test(name: str, candidate: dict[tuple[str, str], float], reference: dict[tuple[str, str], float], seed: int) -> PairedTest | None:
    common = sorted(candidate.keys() & reference.keys())
    if not common:
        return None
    a = np.array([candidate[key] for key in common])
    b = np.array([reference[key] for key in common])
    draws = np.random.default_rng(seed).integers(0, len(common), (_RESAMPLES, len(common)))
    low, high = np.quantile((a - b)[draws].mean(1), [0.025, 0.975])
    better, worse = int(((a > 0.5) & (b <= 0.5)).sum()), int(((a <= 0.5) & (b > 0.5)).sum())
    return PairedTest(name, len(common), float((a - b).mean()), float(low), float(high), better, worse, mcnemar(better, worse))
