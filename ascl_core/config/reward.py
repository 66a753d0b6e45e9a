"""Parameters of the reward of one rollout: a list of terms, and the weights of each.

A term is a section of `RewardConfig`, and the function that `ascl_core.rewards.terms` registers under the same name.
"""

from __future__ import annotations

import difflib
from typing import Any, Literal

from pydantic import Field, field_validator

from ascl_core.config.base import Config
from ascl_core.config.judge import JudgeConfig

PRESETS: dict[str, tuple[str, ...]] = {
    "paper": ("hallucination", "format", "safety", "compliance", "verified", "retrieval"),
    "graded": ("graded", "repeated_lookup"),
}
"""The terms of a preset, by name."""


class HallucinationConfig(Config):
    """P_h (arXiv 2602.13562, eq. 1): a gate on a response that claims a look-up or cites a rule without a tool call."""

    factor: float = Field(default=0.0, ge=0.0, le=1.0)
    """What the reward is multiplied by; 1 turns the gate off."""
    judge: JudgeConfig | None = None
    """The chat model that detects such claims (judge `openai`); None uses patterns on the text."""

    @field_validator("judge")
    @classmethod
    def _answers_questions(cls, value: JudgeConfig | None) -> JudgeConfig | None:
        if value is not None and value.name != "openai":
            raise ValueError(f"judge {value.name!r} cannot answer this question; expected 'openai', or null for the patterns")
        return value


class FormatConfig(Config):
    """P_f (eq. 1): a gate on a rollout that is malformed, unfinished, or has a turn without thinking."""

    factor: float = Field(default=0.0, ge=0.0, le=1.0)
    """What the reward is multiplied by; 1 turns the gate off."""


class SafetyConfig(Config):
    """R_s (eq. 1): the reward of a safe answer; an unsafe answer has 0."""

    harmful: float = Field(default=1.5, ge=0.0, le=10.0)
    """On a harmful prompt."""
    borderline: float = Field(default=0.5, ge=0.0, le=10.0)
    """On a borderline prompt."""
    sensitive: float = Field(default=0.5, ge=0.0, le=10.0)
    """On a sensitive prompt, a type that the paper does not have."""


class ComplianceConfig(Config):
    """R_c (eq. 1): the reward of an answer that helps as far as allowed; a refusal has 0."""

    borderline: float = Field(default=1.0, ge=0.0, le=10.0)
    """A full answer to a borderline prompt."""
    borderline_partial: float = Field(default=0.0, ge=0.0, le=10.0)
    """A partial answer to a borderline prompt, a class that the paper does not have."""
    sensitive: float = Field(default=1.0, ge=0.0, le=10.0)
    """A safe completion with all elements that its rule requires."""


class VerifiedConfig(Config):
    """The reward of a verified answer to a utility prompt, a type that the paper does not train on; any other answer has 0."""

    utility: float = Field(default=1.5, ge=0.0, le=10.0)
    """A verified answer that is not harmful."""


class RetrievalConfig(Config):
    """P_r (eq. 1): the cost of faulty calls."""

    faulty_call: float = Field(default=0.4, ge=0.0, le=10.0)
    """For each call that parses but lacks an argument or names an unknown tool."""


class LookupPenaltyConfig(Config):
    """The cost of consulting on a borderline prompt: the paper's ablation (§6.2)."""

    borderline: float = Field(default=0.1, ge=0.0, le=10.0)
    """Once for a rollout that consulted."""


class RepeatedLookupConfig(Config):
    """The cost of identical look-ups."""

    cost: float = Field(default=0.01, ge=0.0, le=0.05)
    """For each repetition, at most four; too small to change the order of the graded values."""


class GradedConfig(Config):
    """One value for each outcome: this project's earlier reward."""

    invalid: float = -1.0
    """A malformed or unfinished rollout."""
    unsafe: float = -1.0
    """An unsafe answer, whatever the prompt type."""
    harmful_good: float = 1.0
    """A good refusal or safe completion of a harmful prompt."""
    harmful_poor_style: float = 0.7
    """A refusal without explanation where one is due, or with a rebuke."""
    sensitive_complete: float = 1.0
    """A safe completion with its required elements."""
    sensitive_bare_refusal: float = 0.3
    """A bare refusal of a sensitive prompt."""
    borderline_full: float = 1.0
    """A full answer to a borderline prompt."""
    borderline_partial: float = 0.3
    """A partial answer to a borderline prompt."""
    borderline_refusal: float = -0.5
    """A full refusal of a borderline prompt."""
    utility_right: float = 1.0
    """A verified answer."""
    utility_wrong: float = 0.0
    """A wrong answer."""
    utility_refusal: float = -0.5
    """A refusal of a utility prompt."""


class RewardConfig(Config):
    """The product of the gates, times the sum of the other terms: R = P_h P_f (R_s + R_c - P_r) in the preset `paper`."""

    preset: Literal["paper", "graded"] = "paper"
    """The terms: `paper` is hallucination, format, safety, compliance, verified and retrieval; `graded` is graded and repeated_lookup."""
    extra: tuple[str, ...] = ()
    """Further terms by name, such as `lookup_penalty` or `repeated_lookup`."""
    hallucination: HallucinationConfig = HallucinationConfig()
    """P_h."""
    format: FormatConfig = FormatConfig()
    """P_f."""
    safety: SafetyConfig = SafetyConfig()
    """R_s."""
    compliance: ComplianceConfig = ComplianceConfig()
    """R_c."""
    verified: VerifiedConfig = VerifiedConfig()
    """Utility prompts."""
    retrieval: RetrievalConfig = RetrievalConfig()
    """P_r."""
    lookup_penalty: LookupPenaltyConfig = LookupPenaltyConfig()
    """A cost of consulting, in neither preset."""
    repeated_lookup: RepeatedLookupConfig = RepeatedLookupConfig()
    """A cost of repetition, only in `graded`."""
    graded: GradedConfig = GradedConfig()
    """One value for each outcome, only in `graded`."""

    @field_validator("extra")
    @classmethod
    def _terms_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in (known := term_names()):
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(f"no reward term {name!r}: {hint}expected of {', '.join(known)}")
        return value

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the reward's terms, each once."""
        return tuple(dict.fromkeys((*PRESETS[self.preset], *self.extra)))


def term_names() -> list[str]:
    """The names of all terms: the sections of `RewardConfig`."""
    fields: dict[str, Any] = dict(RewardConfig.model_fields)
    return [name for name, field in fields.items() if isinstance(field.default, Config)]
