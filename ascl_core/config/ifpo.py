"""Parameters of `ifpo`: the reinforcement-learning stage, GRPO and its rebalanced variants."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config
from ascl_core.config.judge import JudgeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import split_batch

Rebalance = Literal["none", "all", "balanced", "positive", "reward", "within_mode"]
PromptKind = Literal["harmful", "borderline", "dual_use", "sensitive", "utility"]


class RewardConfig(Config):
    """The reward of one rollout (design, section 3); there is no bonus and no cost for consulting."""

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
    repeated_lookup: float = Field(default=-0.01, le=0.0, ge=-0.05)
    """For each repetition of an identical look-up; too small to change the order of the values above."""


class IfpoConfig(Config):
    """GRPO on TRL's `GRPOTrainer` with the advantages rebalanced by inverse mode frequency."""

    lora: LoraConfig | None = None
    """Train low-rank matrices and merge them at the end; None trains every weight."""
    rollouts: Literal["transformers", "vllm_colocate"] = "transformers"
    """What samples rollouts; `vllm_colocate` is a vLLM engine beside the trainer on each GPU, which gets the weights before each step."""
    vllm_memory_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """`vllm_colocate`: the engine's share of the GPU's memory, weights and cache together."""
    vllm_sleep: bool = False
    """`vllm_colocate`: give that memory back during the update; each step then takes seconds longer."""
    rebalance: Rebalance = "positive"
    """How advantages are rebalanced; `none` is plain GRPO, `reward` is Ada-GRPO (arXiv 2505.20258)."""
    max_weight: float | None = Field(default=None, ge=1.0)
    """w_max, the cap on a weight; None is no cap."""
    frequency: Literal["group", "batch"] = "group"
    """Where mode frequencies are counted."""
    weight_decay_steps: int = Field(default=0, ge=0)
    """Steps of the cosine decay of the weights towards 1; 0 is no decay."""
    max_steps: int = Field(default=60, ge=1)
    """Optimiser steps."""
    prompts_per_step: int = Field(default=12, ge=1)
    """Groups per step."""
    group_size: int = Field(default=8, ge=2)
    """G, rollouts per prompt."""
    micro_batch_size: int = Field(default=96, ge=1)
    """Rollouts per forward pass of a process, at most its share of a step; the rest is accumulated."""
    learning_rate: float = Field(default=5e-4, gt=0.0, le=1.0)
    """Learning rate of AdamW."""
    beta: float = Field(default=0.0, ge=0.0)
    """KL coefficient against the SFT checkpoint."""
    epsilon: float = Field(default=0.2, gt=0.0, lt=1.0)
    """Clip range of the ratio."""
    temperature: float = Field(default=1.0, gt=0.0, le=5.0)
    """Sampling temperature of rollouts."""
    max_completion_length: int = Field(default=320, ge=16)
    """Tokens for think + call + rules + think + answer; a tool result that does not fit is lost silently, so it is checked."""
    prompt_mix: dict[PromptKind, Annotated[float, Field(ge=0.0)]] = {
        "harmful": 1.0,
        "borderline": 1.0,
        "dual_use": 1.0,
        "sensitive": 0.5,
        "utility": 0.5,
    }
    """Relative share of each prompt type among the groups; `dual_use` are those that only the rules of the place decide."""
    rule_variation: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the groups that live under a changed corpus, by which their answers are judged: about half of the rules that say
    comply say refuse_explain there, and the reverse."""
    attack_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the groups whose prompt carries a forgery or noise (`attacks`); what a right answer is stays."""
    reward: RewardConfig = RewardConfig()
    """The values of the reward."""
    judge: JudgeConfig = JudgeConfig()
    """The judge used in training; never the one of the evaluation."""
    save_steps: int = Field(default=20, ge=1)
    """Steps between resumable checkpoints."""
    seed: int = 0
    """Seed of prompt order and sampling."""

    @model_validator(mode="after")
    def _mix_draws(self) -> IfpoConfig:
        if not any(self.prompt_mix.values()):
            raise ValueError("prompt_mix must give at least one kind a share")
        return self

    @model_validator(mode="after")
    def _batches_divide(self) -> IfpoConfig:
        split_batch(self.rollouts_per_step, self.micro_batch_size, 1)
        return self

    @property
    def rollouts_per_step(self) -> int:
        """Of all groups and all processes together."""
        return self.prompts_per_step * self.group_size
