"""Parameters of attacks: which kinds are used in training, and which only in evaluation."""

from __future__ import annotations

from pydantic import Field, field_validator

from ascl_core.config.base import Config
from ascl_core.vocabulary import AttackKind


class AttacksConfig(Config):
    """Forgeries and harmless noise around prompts; the `attack_share` of each training stage sets how many prompts get one."""

    held_out: tuple[AttackKind, ...] = (
        AttackKind.QUOTED_POLICY,
        AttackKind.ENCODED_CLAIM,
        AttackKind.TRANSLATED_CLAIM,
        AttackKind.SEVERAL_QUESTIONS,
    )
    """Kinds that are never used in training; the suites `forged_rules` and `distractors` report them separately."""
    prompts_per_kind: int = Field(default=0, ge=0, le=10_000)
    """Prompts of the own suites that get each kind in the suites `forged_rules` and `distractors`; 0 leaves both suites out."""

    @field_validator("held_out")
    @classmethod
    def _some_are_trained(cls, kinds: tuple[AttackKind, ...]) -> tuple[AttackKind, ...]:
        if not {*AttackKind} - {*kinds}:
            raise ValueError("every kind is held out: leave at least one for training")
        return kinds

    @property
    def trained(self) -> tuple[AttackKind, ...]:
        """The kinds that training may use."""
        return tuple(kind for kind in AttackKind if kind not in self.held_out)


NO_ATTACKS = AttacksConfig()
"""Neither suite."""
