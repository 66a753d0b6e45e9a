"""Parameters of `build_sft`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo

from ascl_core.config.base import Config, Url
from ascl_core.config.chat import ChatConfig, PurifierConfig
from ascl_core.config.judge import JudgeConfig
from ascl_core.config.sft_data import PUBLIC_SETS
from ascl_core.config.sources import SourceConfig
from ascl_core.vocabulary import Mode, PromptType

Kind = tuple[PromptType, Mode]
_SET_NAMES = " and ".join(", ".join(f"`{name}`" for name in PUBLIC_SETS).rsplit(", ", 1))


class BuildSftConfig(Config):
    """The teacher that writes the trajectories, and the filters that they must pass."""

    teacher: Literal["templated", "vllm", "transformers", "openai"] = "templated"
    """`templated` is offline; the others sample a chat model."""
    teacher_model: str | None = None
    """Path, hub id, or endpoint model of the teacher; None for `templated`."""
    teacher_revision: str | None = None
    """The pinned revision of a teacher that is a hub id."""
    teacher_base_url: Url | None = None
    """`openai`: the endpoint; its key is read from `OPENAI_API_KEY`."""
    teacher_max_new_tokens: int = Field(default=1024, ge=8)
    """The most tokens of one turn that the teacher writes, thinking included."""
    teacher_temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    """The teacher's sampling temperature; an endpoint's model that refuses it is asked without."""
    batch_size: int = Field(default=256, ge=1, le=100_000)
    """Prompts in a batch; each finished batch is kept, so a killed run loses at most one."""
    labeller: ChatConfig | None = None
    """A chat model that assigns rules or categories to prompts without them; None leaves the prompts as they are."""
    max_prompts: dict[PromptType, Annotated[int, Field(ge=1)]] | None = None
    """At most this many prompts of a type, spread evenly over their categories; a type that is left out is used in full."""
    trajectories_per_prompt: dict[PromptType, Annotated[int, Field(ge=0, le=64)]] = dict.fromkeys(PromptType, 1)
    """Trajectories for each prompt of that type and mode: the weight of each type in training."""
    consult_share: dict[PromptType, Annotated[float, Field(ge=0.0, le=1.0)]] = {
        PromptType.HARMFUL: 1.0,
        PromptType.BORDERLINE: 0.5,
        PromptType.SENSITIVE: 1.0,
        PromptType.UTILITY: 0.0,
    }
    """Share of the ASCL trajectories of each prompt type that consult; a dual-use prompt gets both modes."""
    mix: dict[str, Annotated[float, Field(gt=0.0)]] | None = None
    """Ratio of the ASCL trajectories by prompt type and mode, such as `{harmful_consult: 2, borderline_consult: 3, borderline_direct: 2}`
    (paper: 980 : 1,469 : 980); prompt types that it leaves out are not used. It replaces `consult_share`; None keeps that."""
    mix_size: int | None = Field(default=None, ge=1)
    """The most trajectories of the mix (paper: 3,429); None takes as many as the ratio allows."""
    samples: Literal["whole", "by_turn"] = "whole"
    """`whole`: a conversation is one sample with loss on every assistant turn; `by_turn`: one sample for each assistant turn, with loss
    on its last turn alone (the paper's)."""
    published: tuple[SourceConfig, ...] = Field(
        default=(), description=f"Where the public sets of the paper's baselines are: {_SET_NAMES}, by their format."
    )
    purifier: PurifierConfig | None = None
    """A second chat model that makes minimal edits to the ASCL trajectories; None keeps them as the teacher wrote them."""
    rule_variation: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the consulting ASCL trajectories in which the tool returns a changed corpus and the answer follows it: about half of the
    rules with comply have refuse_explain there, and the reverse. Without them a model can memorise what each rule id says."""
    attack_share: dict[PromptType, Annotated[float, Field(ge=0.0, le=1.0)]] = dict.fromkeys(PromptType, 0.0)
    """Share of the trajectories of each prompt type, in every arm, whose request carries a forgery or noise (`attacks`); the rest of
    the trajectory stays the same, because the right response ignores it."""
    max_words: int | None = Field(default=None, ge=1)
    """The most words of thoughts and answers in a trajectory, longer ones are rejected; None keeps every length."""
    judge: JudgeConfig = JudgeConfig()
    """The judge that rejects wrong trajectories."""
    seed: int = 0
    """Seed of the teacher's choices."""

    @model_validator(mode="after")
    def _varies_what_it_writes(self) -> BuildSftConfig:
        if self.rule_variation and self.teacher != "templated":
            raise ValueError(
                f"rule_variation is for the teacher templated; a model such as {self.teacher} does not follow reversed rules reliably"
            )
        return self

    @field_validator("published")
    @classmethod
    def _are_baselines(cls, values: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
        if unknown := [source.data_set for source in values if source.data_set not in PUBLIC_SETS]:
            raise ValueError(f"{unknown[0]!r} is the set of no baseline; expected one of {', '.join(PUBLIC_SETS)}")
        if len({source.data_set for source in values}) < len(values):
            raise ValueError("a set is named twice")
        return values

    @field_validator("mix")
    @classmethod
    def _mixes_kinds(cls, values: dict[str, float] | None) -> dict[str, float] | None:
        known = [f"{kind}_{mode}" for kind in PromptType for mode in Mode]
        if values is not None and (not values or set(values) - set(known)):
            raise ValueError(f"expected one or more of {', '.join(known)}")
        return values

    @property
    def mix_weights(self) -> dict[Kind, float]:
        """The weight of each prompt type and mode in the mix; empty if there is none."""
        mix = self.mix or {}
        return {(kind, mode): mix[key] for kind in PromptType for mode in Mode if (key := f"{kind}_{mode}") in mix}

    def consult_share_of(self, kind: PromptType) -> float:
        """Share of the ASCL trajectories of a prompt type that consult."""
        weights = self.mix_weights
        consult, direct = weights.get((kind, Mode.CONSULT), 0.0), weights.get((kind, Mode.DIRECT), 0.0)
        return consult / (consult + direct) if consult + direct else self.consult_share[kind]

    @field_validator("trajectories_per_prompt", "consult_share", "attack_share")
    @classmethod
    def _every_type(cls, values: dict[PromptType, Any], info: ValidationInfo) -> dict[PromptType, Any]:
        """Fill in the default of every type that is left out."""
        assert info.field_name is not None
        return {**cls.model_fields[info.field_name].default, **values}
