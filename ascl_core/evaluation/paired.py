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

Rows = Sequence[EvaluatedRollout]
_OF_RULE = "rule/"


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

    @property
    def rule_id(self) -> str | None:
        """The rule whose prompts are compared; None for a type of prompts."""
        return self.metric.removeprefix(_OF_RULE) if self.metric.startswith(_OF_RULE) else None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `decision.json`."""
        return asdict(self)


def compare(candidate: Rows, reference: Rows, seed: int = 0) -> list[PairedTest]:
    """Return a paired test for each prompt type, and for dual-use prompts, that both sets have; types without data are left out."""
    tests = [
        _test(f"right/{kind}", [[row for row in rows if row.prompt_type == kind] for rows in (candidate, reference)], seed)
        for kind in PromptType
    ]
    tests.append(_test("right/dual_use", [[row for row in rows if row.dual_use] for rows in (candidate, reference)], seed))
    return [test for test in tests if test is not None]


def compare_rules(candidate: Rows, reference: Rows, seed: int = 0) -> list[PairedTest]:
    """Return a paired test for each rule that decides prompts in both sets.

    Each response counts as right by the edition of the rule that it was judged by, so a changed rule is compared with itself before.
    """
    rules = sorted({row.rule_id for row in candidate if row.rule_id is not None})
    pairs = ((rule, [[row for row in rows if row.rule_id == rule] for rows in (candidate, reference)]) for rule in rules)
    tests = [_test(f"{_OF_RULE}{rule}", pair, seed) for rule, pair in pairs]
    return [test for test in tests if test is not None]


def mcnemar(better: int, worse: int) -> float:
    """Return the two-sided exact p-value of McNemar's test: a binomial test of the discordant pairs.

    >>> round(mcnemar(9, 1), 4)
    0.0215
    """
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse, 0.5).pvalue) if better + worse else 1.0


def _scores(rows: Rows) -> dict[tuple[str, str], float]:
    """Return the share of right answers to each prompt."""
    scores: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        scores[row.suite, row.prompt_id].append(right(row))
    return {key: sum(values) / len(values) for key, values in scores.items()}


def _test(name: str, pair: Sequence[Rows], seed: int) -> PairedTest | None:
    candidate, reference = map(_scores, pair)
    common = sorted(candidate.keys() & reference.keys())
    if not common:
        return None
    a = np.array([candidate[key] for key in common])
    b = np.array([reference[key] for key in common])
    low, high = np.quantile(resampled_ratio(a - b, np.ones(len(common)), np.random.default_rng(seed)), [0.025, 0.975])
    better, worse = int(((a > 0.5) & (b <= 0.5)).sum()), int(((a <= 0.5) & (b > 0.5)).sum())
    return PairedTest(name, len(common), float((a - b).mean()), float(low), float(high), better, worse, mcnemar(better, worse))
