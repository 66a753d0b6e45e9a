"""What the paper (arXiv 2602.13562) claims, one row each, and what a comparison here says of it.

A claim is about the difference of two arms, or about what the training log of one arm shows near a step. Safety, over-refusal, utility
and H-avg are means over suites, as in the paper; consult rates are over all prompts of their types. A claim is reproduced where the
whole 95 % interval of the paired difference, or every seed of the log, lies where the paper says; otherwise it is not; and without the
arms or the steps it cannot be tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_yaml
from ascl_core.config.base import Config, parse
from ascl_core.contracts import EvaluatedRollout
from ascl_core.evaluation import measures
from ascl_core.evaluation.seeds import SeedEstimate
from ascl_core.report.seeded_arms import COMPUTATIONS, Computation, SeededArm, SeedRange
from ascl_core.vocabulary import PromptType


class Verdict(StrEnum):
    """What a comparison says of a claim."""

    REPRODUCED = "reproduced here"
    NOT_REPRODUCED = "not reproduced here"
    NOT_TESTABLE = "not testable here"


class Side(StrEnum):
    """Where the paper reports the difference of the first arm and the second or, for `BELOW`, the rate of the first."""

    MORE = "more"
    LESS = "less"
    NOT_LESS = "not less"
    SAME = "same"
    BELOW = "below"


_OTHER_WAY = ("the difference goes the other way", "the interval holds 0")
_BEYOND = ("the difference exceeds the margin", "the interval reaches beyond the margin")
_WHY_NOT = {
    Side.MORE: _OTHER_WAY,
    Side.LESS: _OTHER_WAY,
    Side.NOT_LESS: _BEYOND,
    Side.SAME: _BEYOND,
    Side.BELOW: ("every seed is above the threshold", "a seed is above the threshold"),
}
"""Why a claim is not reproduced: nothing of the interval lies where the paper says, or not all of it."""


def _consults_on(*types: PromptType) -> Computation:
    def measure(row: EvaluatedRollout) -> bool | None:
        return measures.consulted(row) if row.prompt_type in types else None

    return Computation((measure,))


_COMPUTATIONS = COMPUTATIONS | {
    "consults": _consults_on(PromptType.HARMFUL, PromptType.BORDERLINE, PromptType.SENSITIVE),
    "consults_on_utility": _consults_on(PromptType.UTILITY),
}
"""What a claim on two arms is about, by the name in its field `measure`."""


class Claim(Config):
    """One claim. The fields are those of `paper_claims.yaml`."""

    name: str
    ours: str
    side: Side
    theirs: str | None = None
    """The second arm; None for a claim on the training log of the first."""
    measure: str
    """A figure of the comparison, or a name in the training log."""
    says: str
    paper: str
    where: str
    margin: float = 0.0
    """As a share: by how much the first arm may be lower (`NOT_LESS`) or may differ (`SAME`), or what it stays below (`BELOW`)."""
    step: int = 0
    """For `BELOW`: the last of the ten steps whose mean counts."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which values the paper reports the difference or the rate."""
        return {
            Side.MORE: (0.0, inf),
            Side.LESS: (-inf, 0.0),
            Side.NOT_LESS: (-self.margin, inf),
            Side.SAME: (-self.margin, self.margin),
            Side.BELOW: (-inf, self.margin),
        }[self.side]


_FILE = Path(__file__).with_suffix(".yaml")
CLAIMS = tuple(parse(Claim, values, file=_FILE) for values in read_yaml(_FILE))


@dataclass(frozen=True)
class Finding:
    """A claim with what was measured, or without where an arm is missing."""

    claim: Claim
    verdict: Verdict
    difference: SeedEstimate | None = None
    rate: SeedRange | None = None
    """For a claim on a training log."""
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it stands in `comparison.json`."""
        return {
            "claim": self.claim.name,
            "says": self.claim.says,
            "paper": self.claim.paper,
            "where": self.claim.where,
            "arms": [self.claim.ours, self.claim.theirs],
            "verdict": str(self.verdict),
            "difference": None if self.difference is None else asdict(self.difference),
            "rate": None if self.rate is None else asdict(self.rate),
            "why": self.why,
        }


def examine(arms: Sequence[SeededArm]) -> list[Finding]:
    """Return what the arms say of every claim."""
    by_name = {arm.name: arm for arm in arms}
    return [_of_log(claim, by_name) if claim.theirs is None else _of_two(claim, claim.theirs, by_name) for claim in CLAIMS]


def _of_two(claim: Claim, theirs: str, arms: Mapping[str, SeededArm]) -> Finding:
    missing = [name for name in (claim.ours, theirs) if name not in arms]
    if missing:
        return Finding(claim, Verdict.NOT_TESTABLE, why=f"not compared: {', '.join(missing)}")
    found = _COMPUTATIONS[claim.measure].difference(arms[claim.ours].rows, arms[theirs].rows)
    if found is None:
        return Finding(claim, Verdict.NOT_TESTABLE, why="no response of this kind in both arms")
    return _judged(claim, found.low, found.high, difference=found)


def _of_log(claim: Claim, arms: Mapping[str, SeededArm]) -> Finding:
    if claim.ours not in arms:
        return Finding(claim, Verdict.NOT_TESTABLE, why=f"not compared: {claim.ours}")
    found = arms[claim.ours].while_training(claim.measure, claim.step)
    if found is None:
        return Finding(claim, Verdict.NOT_TESTABLE, why=f"no data: not every training log reaches step {claim.step}")
    return _judged(claim, found.low, found.high, rate=found)


def _judged(claim: Claim, low: float, high: float, **measured: Any) -> Finding:
    lowest, highest = claim.bounds
    if lowest < low and high < highest:
        return Finding(claim, Verdict.REPRODUCED, **measured)
    apart = high < lowest or low > highest
    return Finding(claim, Verdict.NOT_REPRODUCED, why=_WHY_NOT[claim.side][0 if apart else 1], **measured)
