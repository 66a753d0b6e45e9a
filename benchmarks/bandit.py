"""The two-mode bandit: what each rebalancing does to the consult rate, in expectation and in a second.

Two prompt types share 70 % of one logit: logit_k = .7 s + .3 u_k, with s common to both. Harmful prompts pay for
consulting (.95 against .60), benign ones pay the same either way (.90). Each step samples groups of both, and s and u
follow the policy gradient of the advantages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ascl_core.rl.advantages import ifpo_advantages


@dataclass(frozen=True)
class BanditConfig:
    """The bandit's sizes; the defaults are those of the decision record."""

    harmful_pay: tuple[float, float] = (0.60, 0.95)
    """Chance of reward 1 on a harmful prompt: direct, consulting."""
    benign_pay: tuple[float, float] = (0.90, 0.90)
    shared: float = 0.7
    """Share of the logit that both types have in common."""
    benign_start: float = 0.50
    harmful_start: float = 0.80
    group_size: int = 8
    groups: int = 32
    """Groups of each type per step."""
    steps: int = 400
    learning_rate: float = 0.45


def final_consult_rates(rebalance: str, seed: int, config: BanditConfig | None = None) -> tuple[float, float]:
    """The consult rates on benign and harmful prompts after the last step."""
    config = config or BanditConfig()
    generator = torch.Generator().manual_seed(seed)
    logits = torch.tensor([_logit(config.benign_start), _logit(config.harmful_start)], dtype=torch.float64)
    pay = torch.tensor([config.benign_pay, config.harmful_pay], dtype=torch.float64)  # (type, mode)
    for _ in range(config.steps):
        push = _gradient(logits.sigmoid(), pay, rebalance, generator, config)  # (2,)
        logits = logits + config.learning_rate * (config.shared**2 * push.sum() + (1 - config.shared) ** 2 * push)
    benign, harmful = logits.sigmoid().tolist()
    return benign, harmful


def push_ratio(share: float, tau: float) -> float:
    """Return the expected push of IFPO on consulting over GRPO's, at a consult rate: w_c (1 - f) + w_d f, without clip, for large groups.

    At f = 0.8: v = 1.118 and 2.236 with the mean 1.342, so w = 0.833 and 1.667, and 0.833 * 0.2 + 1.667 * 0.8 = 1.5.

    >>> round(push_ratio(0.8, 0.5), 2)
    1.5
    """
    consult, direct = share**-tau, (1 - share) ** -tau
    return (consult * (1 - share) + direct * share) / (share * consult + (1 - share) * direct)


def _gradient(rates: Tensor, pay: Tensor, rebalance: str, generator: torch.Generator, config: BanditConfig) -> Tensor:
    """Mean of advantage times d log p(mode) / d logit, for each type: (2,)."""
    shape = (2, config.groups * config.group_size)
    consulted = torch.rand(shape, generator=generator, dtype=torch.float64) < rates[:, None]
    chance = torch.where(consulted, pay[:, 1:], pay[:, :1])
    rewards = (torch.rand(shape, generator=generator, dtype=torch.float64) < chance).double()
    advantages = ifpo_advantages(rewards.flatten(), consulted.flatten(), config.group_size, rebalance=rebalance).reshape(shape)
    return (advantages * (consulted.double() - rates[:, None])).mean(1)


def _logit(rate: float) -> float:
    return math.log(rate / (1 - rate))
