"""Parameters of the reward of one rollout: a list of terms, and the weights of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, create_model

from ascl_core.config.base import Config
from ascl_core.registry import Part, Registry

if TYPE_CHECKING:
    from ascl_core.rewards.terms import Hallucination, Term

_MODULE = "ascl_core.rewards.terms"
TERMS = Registry(
    "reward term",
    "ascl_core.rewards.reward",
    {
        "hallucination": Part(f"{_MODULE}:Hallucination", "P_h"),
        "format": Part(f"{_MODULE}:Format", "P_f"),
        "safety": Part(f"{_MODULE}:Safety", "R_s"),
        "compliance": Part(f"{_MODULE}:Compliance", "R_c"),
        "verified": Part(f"{_MODULE}:Verified", "right answers to utility prompts"),
        "retrieval": Part(f"{_MODULE}:Retrieval", "P_r"),
        "lookup_penalty": Part(f"{_MODULE}:LookupPenalty", "a cost of consulting on borderline prompts"),
        "repeated_lookup": Part(f"{_MODULE}:RepeatedLookup", "a cost of identical look-ups"),
        "graded": Part(f"{_MODULE}:Graded", "one value for each outcome"),
    },
)
"""The terms: classes derived from `ascl_core.rewards.terms.Term`. Each has a section of its name in `RewardConfig`."""
PRESETS: dict[str, tuple[str, ...]] = {
    "paper": ("hallucination", "format", "safety", "compliance", "verified", "retrieval"),
    "graded": ("graded", "repeated_lookup"),
}
"""The terms of a preset, by name."""
if TYPE_CHECKING:
    PresetName = str
    TermName = str
else:
    PresetName, TermName = Literal[tuple(PRESETS)], Literal[tuple(TERMS)]


class _Reward(Config):
    """The product of the gates, times the sum of the other terms: R = P_h P_f (R_s + R_c - P_r) in the preset `paper`."""

    preset: PresetName = Field(
        default="paper", description="The terms. " + "; ".join(f"`{name}`: {', '.join(terms)}" for name, terms in PRESETS.items())
    )
    extra: tuple[TermName, ...] = ()
    """Further terms by name, such as `lookup_penalty` or `repeated_lookup`."""

    if TYPE_CHECKING:
        hallucination: Hallucination = Hallucination()

    @property
    def terms(self) -> dict[str, Term]:
        """The terms of the reward by name, each once."""
        return {name: getattr(self, name) for name in (*PRESETS[self.preset], *self.extra)}


if TYPE_CHECKING:
    RewardConfig = _Reward
else:
    _SECTIONS = {name: (term, term()) for name in TERMS for term in [TERMS.load(name)]}
    RewardConfig = create_model("RewardConfig", __base__=_Reward, __doc__=_Reward.__doc__, __module__=__name__, **_SECTIONS)
