"""Advantages of GRPO, of IFPO as published, and of the other rules that a comparison trains with.

Shapes: N rollouts in contiguous groups of G; `rewards` (N,) with NaN where no judge could say, `consulted` (N,) bool, the
result (N,). B = N / G groups. A rollout without a reward is left out of counts, mean and spread and has the advantage 0; a group
with fewer than two judged rollouts is all zeros.

    A_i  = (r_i - mean r) / (std r + eps)                    GRPO (arXiv 2402.03300) as TRL computes it; sample standard deviation
    v_i  = (G / N_m)^tau                                     G judged rollouts in the group, N_m of them in the mode of i
    w_i  = clip(v_i / mean_j v_j, w_min, w_max)              IFPO (arXiv 2602.13562, eq. 3); mean 1 over the group before the clip
    A'_i = w_i A_i                                           IFPO (eq. 4); both signs

A rule is a function of `Groups` that returns (B, G) advantages; `STRATEGIES` in `ascl_core.config.ifpo` gives it its name. What it
returns where nothing was judged does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ascl_core.config.ifpo import STRATEGIES

EPSILON = 1e-4
"""Added to the standard deviation, as in TRL."""


@dataclass(frozen=True)
class Settings:
    """The numbers of the rules; `ifpo_advantages` says what they mean."""

    tau: float = 0.5
    min_weight: float | None = None
    max_weight: float | None = None
    epsilon: float = EPSILON
    efficiency_weight: float = 0.1

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("tau", 0 <= self.tau < math.inf, "a number of at least 0"),
            ("min_weight", self.min_weight is None or 0 <= self.min_weight <= 1, "0 to 1"),
            ("max_weight", self.max_weight is None or self.max_weight >= 1, "at least 1"),
        ):
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}; expected {expected}")


@dataclass(frozen=True)
class Groups:
    """Judged rewards by group, and the settings of the rules; every tensor is (B, G)."""

    settings: Settings
    rewards: Tensor
    """NaN replaced by 0 where `judged` is False."""
    judged: Tensor
    """True where a judge gave a reward."""
    consulted: Tensor
    lookups: Tensor
    """Number of look-ups of each rollout."""
    correct: Tensor
    """True where the answer is right; False where it was not judged."""

    def standardise(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return (B, G) values less their mean over `mask`, by their sample standard deviation; 0 outside and where n < 2."""
        kept = mask.to(values.dtype)
        n = kept.sum(1, keepdim=True)
        centred = (values - (values * kept).sum(1, keepdim=True) / n.clamp_min(1)) * kept
        std = (centred.square().sum(1, keepdim=True) / (n - 1).clamp_min(1)).sqrt()
        scale = (std + self.settings.epsilon).clamp_min(torch.finfo(values.dtype).tiny)  # without epsilon, equal values are 0 and not 0/0
        return torch.where((n >= 2) & mask, centred / scale, torch.zeros_like(values))

    def weights(self, tau: float) -> Tensor:
        """Return (B, G) inverse-frequency weights: (G/N_m)^tau over its mean in the group, then clipped; 1 where one mode is present."""
        n_consult = (self.judged & self.consulted).sum(1, keepdim=True)
        n_direct = (self.judged & ~self.consulted).sum(1, keepdim=True)
        both = (n_consult > 0) & (n_direct > 0)
        n = n_consult + n_direct
        of_own_mode = torch.where(self.consulted, n_consult, n_direct).clamp_min(1)
        powers = (n.double() / of_own_mode) ** tau
        mean = (powers * self.judged).sum(1, keepdim=True) / n.clamp_min(1)
        weights = torch.where(both, powers / torch.where(both, mean, 1.0), 1.0)
        low, high = self.settings.min_weight or 0.0, math.inf if self.settings.max_weight is None else self.settings.max_weight
        return weights.clamp(low, high).to(self.rewards.dtype)

    def mode_means(self) -> Tensor:
        """Return the (B, G) mean reward of the judged rollouts in each rollout's mode; 0 where there is none."""
        masks = (self.judged & self.consulted, self.judged & ~self.consulted)
        consult, direct = ((self.rewards * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp_min(1) for mask in masks)
        return torch.where(self.consulted, consult, direct)


def standardised_rewards(groups: Groups) -> Tensor:
    """Return GRPO's advantages (arXiv 2402.03300): A = (r - mean r) / (std r + eps)."""
    return groups.standardise(groups.rewards, groups.judged)


def inverse_frequency(groups: Groups) -> Tensor:
    """Return IFPO's advantages as published (arXiv 2602.13562, eq. 3 and 4): w A, with the weights above."""
    return groups.weights(groups.settings.tau) * standardised_rewards(groups)


def full_inverse_frequency(groups: Groups) -> Tensor:
    """Return w A with w = G / (M N_m), M modes present: the published rule at tau = 1."""
    return groups.weights(1.0) * standardised_rewards(groups)


def one_sided(groups: Groups) -> Tensor:
    """Return w A where A > 0, else A, with w = G / (M N_m): a rule of this project; failures cost what they cost in GRPO."""
    advantages = standardised_rewards(groups)
    return torch.where(advantages > 0, groups.weights(1.0) * advantages, advantages)


def mode_balanced(groups: Groups) -> Tensor:
    """Return w (r - b) / (s + eps), with a mode-balanced baseline b = sum(w r)/sum(w) and s^2 = sum(w (r-b)^2)/sum(w) G/(G-1)."""
    weights = groups.weights(1.0) * groups.judged
    total = weights.sum(1, keepdim=True).clamp_min(1e-12)
    n = groups.judged.sum(1, keepdim=True)
    centred = (groups.rewards - (weights * groups.rewards).sum(1, keepdim=True) / total) * groups.judged
    std = ((weights * centred.square()).sum(1, keepdim=True) / total * n / (n - 1).clamp_min(1)).sqrt()
    return weights * centred / (std + groups.settings.epsilon)


def weighted_reward(groups: Groups) -> Tensor:
    """Return Ada-GRPO's advantages (arXiv 2505.20258): GRPO's of w r, with w = G / (M N_m)."""
    return groups.standardise(groups.weights(1.0) * groups.rewards, groups.judged)


def within_mode(groups: Groups) -> Tensor:
    """Return advantages with a baseline and a spread for each mode: no push between the modes; a mode's only rollout gets 0."""
    consulting = groups.standardise(groups.rewards, groups.judged & groups.consulted)
    return consulting + groups.standardise(groups.rewards, groups.judged & ~groups.consulted)


def conditional(groups: Groups) -> Tensor:
    """Return HDPO's advantages (arXiv 2604.08545): A + c E; E is GRPO's of 1/(T + 1) among the correct rollouts, T look-ups.

    The paper sums the two channels in the loss; with one ratio per token and no clipping that is this sum. c = `efficiency_weight`.
    """
    efficiency = groups.standardise(1 / (groups.lookups + 1), groups.judged & groups.correct)
    return standardised_rewards(groups) + groups.settings.efficiency_weight * efficiency


def mode_mean(groups: Groups) -> Tensor:
    """Return A + z(mean reward of the rollout's mode), z over the judged rollouts of the group, after AMPO (arXiv 2505.02156).

    AMPO's second case, which compares lengths where the modes are equally good, is left out.
    """
    return standardised_rewards(groups) + groups.standardise(groups.mode_means(), groups.judged)


def grpo_advantages(rewards: Tensor, group_size: int, *, epsilon: float = EPSILON) -> Tensor:
    """Return GRPO's advantages (N,), equal to TRL's.

    >>> grpo_advantages(torch.tensor([1.0, 0.0]), 2).round(decimals=3)
    tensor([ 0.7070, -0.7070])
    """
    return ifpo_advantages(rewards, torch.zeros_like(rewards, dtype=torch.bool), group_size, rebalance="none", epsilon=epsilon)


def ifpo_advantages(
    rewards: Tensor,
    consulted: Tensor,
    group_size: int,
    *,
    rebalance: str = "ifpo",
    tau: float = 0.5,
    min_weight: float | None = None,
    max_weight: float | None = None,
    epsilon: float = EPSILON,
    lookups: Tensor | None = None,
    correct: Tensor | None = None,
    efficiency_weight: float = 0.1,
) -> Tensor:
    """Return the advantages (N,) under a rule; by default IFPO as published. See the module for the formulas.

    Args:
        rewards: (N,) float; NaN where no judge could say.
        consulted: (N,) bool; whether the rollout consulted.
        group_size: G; N is a multiple of it, groups are contiguous.
        rebalance: A name of `STRATEGIES`.
        tau: `ifpo`: the exponent; 0 is GRPO.
        min_weight: w_min, in [0, 1]; None is no lower bound. Like w_max, at least 1, it applies to every rule that has weights.
        max_weight: w_max.
        epsilon: Added to the standard deviation.
        lookups: (N,) `conditional`: number of look-ups; None counts one for each rollout that consulted.
        correct: (N,) bool, `conditional`: whether the answer is right; None takes a reward above 0 for right.
        efficiency_weight: `conditional`: c, the weight of the efficiency advantage.

    Raises `ValueError` where a shape, a group size, a bound or a name does not fit.

    Three rollouts consulted, one did not: v = sqrt(4/3) and 2, their mean is 1.366, so w = 0.845 and 1.464.

    >>> modes = torch.tensor([True, True, True, False])
    >>> ifpo_advantages(torch.tensor([1.0, 0.0, 1.0, 0.0]), modes, 4).round(decimals=2)
    tensor([ 0.7300, -0.7300,  0.7300, -1.2700])
    """
    if rebalance not in STRATEGIES:
        raise ValueError(f"rebalance is {rebalance!r}; expected one of {', '.join(STRATEGIES)}")
    settings = Settings(tau, min_weight, max_weight, epsilon, efficiency_weight)
    groups = _groups(rewards, consulted, group_size, settings, lookups, correct)
    usable = groups.judged & (groups.judged.sum(1, keepdim=True) >= 2)
    return torch.where(usable, STRATEGIES.load(rebalance)(groups), torch.zeros_like(groups.rewards)).reshape(-1)


def mode_weights(
    rewards: Tensor,
    consulted: Tensor,
    group_size: int,
    *,
    tau: float = 0.5,
    min_weight: float | None = None,
    max_weight: float | None = None,
) -> Tensor:
    """Return IFPO's weights (N,), eq. 3; a rollout without a reward has the weight of its mode, which nothing uses."""
    return _groups(rewards, consulted, group_size, Settings(tau, min_weight, max_weight)).weights(tau).reshape(-1)


def one_mode_fraction(rewards: Tensor, consulted: Tensor, group_size: int) -> float:
    """Return the share of groups whose judged rollouts are all of one mode: nothing can be rebalanced there."""
    judged = (~torch.isnan(rewards)).reshape(-1, group_size)
    modes = consulted.bool().reshape(-1, group_size)
    both = (judged & modes).any(1) & (judged & ~modes).any(1)
    return float((~both).float().mean())


def _groups(
    rewards: Tensor, consulted: Tensor, group_size: int, settings: Settings, lookups: Tensor | None = None, correct: Tensor | None = None
) -> Groups:
    """Return the rollouts by group; `ValueError` where shapes, types or sizes do not fit."""
    for name, values in {"consulted": consulted, "lookups": lookups, "correct": correct}.items():
        if values is not None and (rewards.ndim != 1 or values.shape != rewards.shape):
            raise ValueError(f"expected rewards and {name} of one shape (N,), got {tuple(rewards.shape)} and {tuple(values.shape)}")
    if not rewards.is_floating_point():
        raise ValueError(f"rewards must be floating point, got {rewards.dtype}")
    if group_size < 1 or rewards.numel() % group_size:
        raise ValueError(f"{rewards.numel()} rollouts are not a multiple of group_size {group_size}")
    judged = ~torch.isnan(rewards)
    consulted = consulted.bool()
    lookups = (consulted if lookups is None else lookups).to(rewards.dtype)
    right = (rewards > 0 if correct is None else correct.bool()) & judged
    grouped = (values.reshape(-1, group_size) for values in (rewards.nan_to_num(nan=0.0), judged, consulted, lookups, right))
    return Groups(settings, *grouped)
