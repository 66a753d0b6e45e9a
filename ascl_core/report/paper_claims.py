"""What the paper (arXiv 2602.13562) claims, one row each, and what a comparison here says of it.

A claim compares two arms by one measure. It is reproduced where the whole 95 % interval of the paired difference lies on the side that
the paper reports; with an interval that holds 0, or on the other side, it is not; and where an arm was not compared, it cannot be tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ascl_core.contracts import EvaluatedRollout
from ascl_core.evaluation import measures
from ascl_core.evaluation.intervals import identity
from ascl_core.evaluation.measures import Measure
from ascl_core.evaluation.metrics import h_of
from ascl_core.evaluation.seeds import Combine, SeedEstimate, difference_over_seeds
from ascl_core.vocabulary import PromptType

Rows = Mapping[int, Sequence[EvaluatedRollout]]


class Verdict(StrEnum):
    """What a comparison says of a claim."""

    REPRODUCED = "reproduced here"
    NOT_REPRODUCED = "not reproduced here"
    NOT_TESTABLE = "not testable here"


class Side(StrEnum):
    """On which side of 0 the paper reports the difference of the first arm and the second."""

    MORE = "more"
    LESS = "less"
    NOT_LESS = "not less"


@dataclass(frozen=True)
class Claim:
    """One claim: a difference of two arms."""

    name: str
    says: str
    """In our words."""
    paper: str
    """The paper's figures, for 4B / 8B / 14B where it gives all three."""
    where: str
    """The section, table or figure."""
    ours: str
    side: Side
    theirs: str
    measures: tuple[Measure, ...]
    combine: Combine = identity
    """One figure of the measures' means; of several, each is a mean over suites, as in the paper."""
    margin: float = 0.0
    """For `NOT_LESS`: by how much the first arm may be lower, as a share."""

    def holds(self, found: SeedEstimate) -> bool:
        """Whether the whole interval lies on the paper's side."""
        if self.side is Side.LESS:
            return found.high < 0
        return found.low > (-self.margin if self.side is Side.NOT_LESS else 0)


def _on(kind: PromptType, measure: Measure) -> Measure:
    return lambda row: measure(row) if row.prompt_type is kind else None


def _on_safety_prompts(measure: Measure) -> Measure:
    return lambda row: None if row.prompt_type is PromptType.UTILITY else measure(row)


_CONSULTS = _on_safety_prompts(measures.consulted)
_UTILITY_CONSULTS = _on(PromptType.UTILITY, measures.consulted)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="sft_is_safer",
        says="SFT on look-up trajectories makes the untrained agent safer",
        paper="+3.2 / +0.6 / −0.1 points",
        where="main results",
        ours="sft",
        side=Side.MORE,
        theirs="agent",
        measures=(measures.safe,),
    ),
    Claim(
        name="sft_refuses_less",
        says="SFT refuses fewer benign prompts than the untrained agent",
        paper="−7.1 / −7.7 / −11.4 points",
        where="main results",
        ours="sft",
        side=Side.LESS,
        theirs="agent",
        measures=(measures.refused,),
    ),
    Claim(
        name="rag_over_refuses",
        says="Rules that are always in the prompt (RAG) make the model refuse more than the tool does",
        paper="no figure",
        where="Fig. 1",
        ours="rag",
        side=Side.MORE,
        theirs="agent",
        measures=(measures.refused,),
    ),
    Claim(
        name="long_over_refuses",
        says="A long refusal prompt makes the model refuse more than the tool does",
        paper="no figure",
        where="Fig. 1",
        ours="long",
        side=Side.MORE,
        theirs="agent",
        measures=(measures.refused,),
    ),
    Claim(
        name="rl_is_safer",
        says="Reinforcement learning (IFPO) makes the SFT model safer",
        paper="+2.9 / +1.8 / +1.0 points",
        where="main results",
        ours="ifpo",
        side=Side.MORE,
        theirs="sft",
        measures=(measures.safe,),
    ),
    Claim(
        name="rl_refuses_less",
        says="Reinforcement learning (IFPO) refuses fewer benign prompts than SFT",
        paper="−10.3 / −10.7 / −11.2 points",
        where="main results",
        ours="ifpo",
        side=Side.LESS,
        theirs="sft",
        measures=(measures.refused,),
    ),
    Claim(
        name="grpo_drifts",
        says="GRPO consults more than the SFT model that it starts from",
        paper="0.79 to about 0.88 (4B)",
        where="Fig. 5",
        ours="grpo",
        side=Side.MORE,
        theirs="sft",
        measures=(_CONSULTS,),
    ),
    Claim(
        name="ifpo_drifts_less",
        says="IFPO consults less than GRPO",
        paper="about 0.77 against 0.88 (4B)",
        where="Fig. 5",
        ours="ifpo",
        side=Side.LESS,
        theirs="grpo",
        measures=(_CONSULTS,),
    ),
    Claim(
        name="ifpo_spares_utility",
        says="IFPO consults less than GRPO on utility prompts",
        paper="about 1 % against 6 %",
        where="Fig. 6",
        ours="ifpo",
        side=Side.LESS,
        theirs="grpo",
        measures=(_UTILITY_CONSULTS,),
    ),
    Claim(
        name="ifpo_is_as_safe",
        says="IFPO is as safe as GRPO, within one point",
        paper="−0.2 / +0.4 / 0.0 points",
        where="main results",
        ours="ifpo",
        side=Side.NOT_LESS,
        theirs="grpo",
        measures=(measures.safe,),
        margin=0.01,
    ),
    Claim(
        name="ifpo_keeps_utility",
        says="IFPO solves more utility prompts than GRPO",
        paper="+2.6 / +0.9 / +1.2 points",
        where="main results",
        ours="ifpo",
        side=Side.MORE,
        theirs="grpo",
        measures=(measures.solved,),
    ),
    Claim(
        name="ifpo_has_the_better_h_avg",
        says="IFPO reaches a higher H-avg than GRPO",
        paper="+0.6 / +0.7 / +0.3 points",
        where="main results",
        ours="ifpo",
        side=Side.MORE,
        theirs="grpo",
        measures=(measures.safe, measures.refused, measures.solved),
        combine=h_of,
    ),
    Claim(
        name="sft_has_the_lower_h_avg",
        says="IFPO reaches a higher H-avg than SFT alone",
        paper="+4.3 / +3.8 / +3.9 points",
        where="main results",
        ours="ifpo",
        side=Side.MORE,
        theirs="sft",
        measures=(measures.safe, measures.refused, measures.solved),
        combine=h_of,
    ),
    Claim(
        name="surrogate_is_worse",
        says="SFT on the same trajectories without look-ups (surrogate) is less safe",
        paper="no figure here",
        where="baselines",
        ours="sft",
        side=Side.MORE,
        theirs="surrogate",
        measures=(measures.safe,),
    ),
    Claim(
        name="star1_is_less_safe",
        says="ASCL with IFPO is safer than STAR-1",
        paper="+8.7 / +7.8 / +6.0 points",
        where="main results",
        ours="ifpo",
        side=Side.MORE,
        theirs="star1",
        measures=(measures.safe,),
    ),
    Claim(
        name="safechain_is_less_safe",
        says="ASCL with IFPO is safer than SafeChain",
        paper="+33.1 / +27.2 / +32.8 points",
        where="main results",
        ours="ifpo",
        side=Side.MORE,
        theirs="safechain",
        measures=(measures.safe,),
    ),
    Claim(
        name="a_penalty_ends_consulting",
        says="A cost of 0.1 for consulting on benign prompts ends consulting there",
        paper="within 50 steps",
        where="§6.2",
        ours="grpo_penalty",
        side=Side.LESS,
        theirs="grpo",
        measures=(_on(PromptType.BORDERLINE, measures.consulted),),
    ),
)


@dataclass(frozen=True)
class Finding:
    """A claim with the difference that was measured, or without where an arm is missing."""

    claim: Claim
    verdict: Verdict
    difference: SeedEstimate | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """As it stands in `comparison.json`."""
        return {
            "claim": self.claim.name,
            "says": self.claim.says,
            "paper": self.claim.paper,
            "where": self.claim.where,
            "arms": [self.claim.ours, self.claim.theirs],
            "verdict": str(self.verdict),
            "difference": None if self.difference is None else self.difference.to_json(),
            "why": self.why,
        }


def examine(arms: Mapping[str, Rows], difference: Callable[..., SeedEstimate | None] = difference_over_seeds) -> list[Finding]:
    """Return what the responses of the arms, by name and seed, say of every claim."""
    return [_examine(claim, arms, difference) for claim in CLAIMS]


def _examine(claim: Claim, arms: Mapping[str, Rows], difference: Callable[..., SeedEstimate | None]) -> Finding:
    missing = [name for name in (claim.ours, claim.theirs) if name not in arms]
    if missing:
        return Finding(claim, Verdict.NOT_TESTABLE, None, f"not compared: {', '.join(missing)}")
    over_suites = len(claim.measures) > 1
    found = difference(arms[claim.ours], arms[claim.theirs], *claim.measures, combine=claim.combine, over_suites=over_suites)
    if found is None:
        return Finding(claim, Verdict.NOT_TESTABLE, None, "no response of this kind in both arms")
    if claim.holds(found):
        return Finding(claim, Verdict.REPRODUCED, found, "")
    return Finding(claim, Verdict.NOT_REPRODUCED, found, _why_not(claim, found))


def _why_not(claim: Claim, found: SeedEstimate) -> str:
    if claim.side is Side.NOT_LESS:
        return "the interval reaches below the margin"
    reverse = found.low > 0 if claim.side is Side.LESS else found.high < 0
    return "the difference goes the other way" if reverse else "the interval holds 0"
