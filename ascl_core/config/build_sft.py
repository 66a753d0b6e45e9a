"""Parameters of `build_sft`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from ascl_core.config.base import Config, without_credentials
from ascl_core.config.judge import JudgeConfig
from ascl_core.vocabulary import PromptType


class BuildSftConfig(Config):
    """Who writes the trajectories, and which are kept."""

    teacher: Literal["templated", "vllm", "transformers", "openai"] = "templated"
    """`templated` is offline; the others sample a chat model."""
    teacher_model: str | None = None
    """Path, hub id, or endpoint model of the teacher; None for `templated`."""
    teacher_revision: str | None = None
    """The pinned revision of a teacher that is a hub id."""
    teacher_base_url: str | None = None
    """`openai`: the endpoint; its key is read from `OPENAI_API_KEY`."""
    trajectories_per_prompt: dict[PromptType, Annotated[int, Field(ge=0, le=64)]] = dict.fromkeys(PromptType, 1)
    """Trajectories for each prompt of that type and mode: how much of the training each type gets."""
    consult_share: dict[PromptType, Annotated[float, Field(ge=0.0, le=1.0)]] = {
        PromptType.HARMFUL: 1.0,
        PromptType.BORDERLINE: 0.5,
        PromptType.SENSITIVE: 1.0,
        PromptType.UTILITY: 0.0,
    }
    """Share of the ASCL trajectories of each prompt type that consult; a dual-use prompt gets both modes."""
    rule_variation: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the consulting ASCL trajectories in which the tool knows a changed corpus, and the answer follows it:
    about half of the rules that say comply say refuse_explain there, and the reverse. Without any, a model can learn what each
    rule id says by heart, and does not read."""
    attack_share: dict[PromptType, Annotated[float, Field(ge=0.0, le=1.0)]] = dict.fromkeys(PromptType, 0.0)
    """Share of the trajectories of each prompt type, in every arm, whose request carries a forgery or noise (`attacks`); the rest of
    the trajectory stays, as the right conversation takes no notice of it."""
    max_words: int | None = Field(default=None, ge=1)
    """Trajectories whose thoughts and answers have more words than this together are rejected; None keeps every length."""
    judge: JudgeConfig = JudgeConfig()
    """Rejects wrong trajectories."""
    seed: int = 0
    """Seed of the teacher's choices."""

    @field_validator("teacher_base_url")
    @classmethod
    def _shows_no_credentials(cls, value: str | None) -> str | None:
        return without_credentials(value)

    @model_validator(mode="after")
    def _varies_what_it_writes(self) -> BuildSftConfig:
        if self.rule_variation and self.teacher != "templated":
            raise ValueError(f"rule_variation is for the teacher templated; {self.teacher} would have to write against its own habits")
        return self

    @field_validator("trajectories_per_prompt", "consult_share", "attack_share")
    @classmethod
    def _every_type(cls, values: dict[PromptType, Any], info: ValidationInfo) -> dict[PromptType, Any]:
        """A type that is left out has its default."""
        assert info.field_name is not None
        return {**cls.model_fields[info.field_name].default, **values}
