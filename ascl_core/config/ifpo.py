"""Parameters of `ifpo`: the reinforcement-learning stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config
from ascl_core.config.judge import JudgeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import split_batch
from ascl_core.config.reward import RewardConfig
from ascl_core.registry import Part, Registry

_MODULE = "ascl_core.rl.advantages"
STRATEGIES = Registry(
    "rebalancing rule",
    _MODULE,
    {
        "ifpo": Part(f"{_MODULE}:inverse_frequency", "the published rule (arXiv 2602.13562, eq. 3 and 4)"),
        "none": Part(f"{_MODULE}:standardised_rewards", "GRPO (arXiv 2402.03300)"),
        "all": Part(f"{_MODULE}:full_inverse_frequency", "`ifpo` at tau 1"),
        "one_sided": Part(f"{_MODULE}:one_sided", "weights on advantages above 0 alone"),
        "balanced": Part(f"{_MODULE}:mode_balanced", "a baseline in which both modes count alike"),
        "reward": Part(f"{_MODULE}:weighted_reward", "Ada-GRPO (arXiv 2505.20258)"),
        "within_mode": Part(f"{_MODULE}:within_mode", "a baseline for each mode"),
        "conditional": Part(f"{_MODULE}:conditional", "HDPO (arXiv 2604.08545)"),
        "mode_mean": Part(f"{_MODULE}:mode_mean", "after AMPO (arXiv 2505.02156)"),
    },
)
"""The rules for the advantages: functions of `ascl_core.rl.advantages.Groups`."""
if TYPE_CHECKING:
    Rebalance = str
else:
    Rebalance = Literal[tuple(STRATEGIES)]
PromptKind = Literal["harmful", "borderline", "dual_use", "sensitive", "utility"]


class IfpoConfig(Config):
    """IFPO, GRPO and other rules for the advantages, on TRL's `GRPOTrainer`."""

    lora: LoraConfig | None = None
    """Train low-rank matrices and merge them at the end; None trains every weight."""
    rollouts: Literal["transformers", "vllm_colocate"] = "transformers"
    """What samples rollouts; `vllm_colocate` is a vLLM engine beside the trainer on each GPU, with new weights before each step."""
    vllm_memory_share: float = Field(default=0.3, gt=0.0, lt=1.0)
    """`vllm_colocate`: the engine's share of the GPU's memory, weights and cache together."""
    vllm_sleep: bool = False
    """`vllm_colocate`: give that memory back during the update; each step then takes seconds longer."""
    rebalance: Rebalance = Field(default="ifpo", description=f"How advantages are rebalanced. {STRATEGIES.description}.")
    tau: float = Field(default=0.5, ge=0.0, le=4.0)
    """`ifpo`: the exponent of the inverse frequency; 0 is GRPO. The paper takes 0.5."""
    min_weight: float | None = Field(default=None, ge=0.0, le=1.0)
    """w_min, the lower bound of a weight; None by default, because the paper does not give its bounds."""
    max_weight: float | None = Field(default=None, ge=1.0)
    """w_max, the upper bound of a weight; None by default."""
    efficiency_weight: float = Field(default=0.1, ge=0.0, le=10.0)
    """`conditional`: the weight of the advantage of fewer look-ups among correct rollouts."""
    loss: Literal["token_mean", "sequence_mean"] = "token_mean"
    """`token_mean` averages over all tokens of a step's rollouts, as the paper does; `sequence_mean` over the tokens of each rollout, then
    over rollouts."""
    max_steps: int = Field(default=60, ge=1)
    """Optimiser steps."""
    prompts_per_step: int = Field(default=12, ge=1)
    """Groups per step."""
    group_size: int = Field(default=8, ge=2)
    """G, rollouts per prompt."""
    micro_batch_size: int = Field(default=96, ge=1)
    """Rollouts per forward pass of a process, at most its share of a step; the rest is accumulated."""
    learning_rate: float = Field(default=5e-4, gt=0.0, le=1.0)
    """Peak learning rate of AdamW."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """The learning rate after the warm-up: a cosine to 0, or constant."""
    warmup_ratio: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps in which the learning rate rises from 0."""
    beta: float = Field(default=0.0, ge=0.0)
    """KL coefficient against the SFT checkpoint; the paper has no KL term."""
    epsilon: float = Field(default=0.2, gt=0.0, lt=1.0)
    """Clip range of the ratio."""
    temperature: float = Field(default=1.0, gt=0.0, le=5.0)
    """Sampling temperature of rollouts."""
    max_completion_length: int = Field(default=320, ge=16)
    """Tokens for think + call + rules + think + answer; checked at the start, because a tool result that does not fit is lost silently."""
    prompt_mix: dict[PromptKind, Annotated[float, Field(ge=0.0)]] = {
        "harmful": 1.0,
        "borderline": 1.0,
        "dual_use": 1.0,
        "sensitive": 0.5,
        "utility": 0.5,
    }
    """Relative share of each prompt type among the groups; on `dual_use` prompts the rules of jurisdictions disagree."""
    rule_variation: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the groups that get a changed corpus, by which their answers are judged: about half of the rules with comply have
    refuse_explain there, and the reverse."""
    attack_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the groups whose prompt carries a forgery or noise (`attacks`); the right answer stays the same."""
    reward: RewardConfig = RewardConfig()
    """The reward: its terms and their weights."""
    judge: JudgeConfig = JudgeConfig()
    """The judge used in training; never the judge of the evaluation."""
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
        """Rollouts of all groups and processes together."""
        return self.prompts_per_step * self.group_size
