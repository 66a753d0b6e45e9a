"""Advantages of GRPO and of its rebalanced variants.

Shapes: N rollouts in contiguous groups of G; `rewards` (N,) with NaN where no judge could say, `consulted` (N,) bool, the
result (N,). A rollout without a reward is left out of counts, mean and spread, and has the advantage 0; a group with fewer
than two judged rollouts is all zeros.

The rebalancing is our reconstruction of IFPO (arXiv 2602.13562, of which only the abstract was at hand):

    A_i  = (r_i - mean r) / (std r + eps)          GRPO (arXiv 2402.03300) as TRL computes it; sample standard deviation
    w_i  = min(G / (M n_m), w_max)                 inverse frequency of the rollout's mode; M modes present, n_m rollouts in mode m
    A'_i = w_i A_i  if A_i > 0, else A_i           rebalance = "positive", the default
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 1e-4
"""Added to the standard deviation, as in TRL."""


@dataclass(frozen=True)
class Groups:
    """Judged rewards by group; every tensor is (B, G)."""

    rewards: Tensor
    """NaN replaced by 0 where `judged` is False."""
    judged: Tensor
    """True where a judge gave a reward."""
    consulted: Tensor
    weights: Tensor
    """Inverse-frequency weights; 1 in a group with one mode."""
    epsilon: float

    def mean(self, weights: Tensor) -> Tensor:
        """(B, 1) weighted mean reward over the judged rollouts; 0 where there is none."""
        return (weights * self.rewards).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp_min(1e-12)

    def standardise(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, G) values less their mean over `mask`, by their sample standard deviation; 0 outside and where n < 2."""
        kept = mask.to(values.dtype)
        n = kept.sum(1, keepdim=True)
        centred = (values - (values * kept).sum(1, keepdim=True) / n.clamp_min(1)) * kept
        std = (centred.square().sum(1, keepdim=True) / (n - 1).clamp_min(1)).sqrt()
        return torch.where((n >= 2) & mask, centred / (std + self.epsilon), torch.zeros_like(values))


def _none(groups: Groups) -> Tensor:
    """Plain GRPO."""
    return groups.standardise(groups.rewards, groups.judged)


def _all(groups: Groups) -> Tensor:
    """w A: looks right, and speeds the drift towards the common mode up (docs/decisions/0002)."""
    return groups.weights * _none(groups)


def _positive(groups: Groups) -> Tensor:
    """w A where A > 0: what the rare mode gets right counts as much as what the common one does; failures cost what they did."""
    advantages = _none(groups)
    return torch.where(advantages > 0, groups.weights * advantages, advantages)


def _balanced(groups: Groups) -> Tensor:
    """A mode-balanced baseline and spread, then w A: b = sum(w r)/sum(w), s^2 = sum(w (r-b)^2)/sum(w) G/(G-1)."""
    weights = groups.weights * groups.judged
    n = groups.judged.sum(1, keepdim=True)
    centred = (groups.rewards - groups.mean(weights)) * groups.judged
    spread = (weights * centred.square()).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp_min(1e-12)
    std = (spread * n / (n - 1).clamp_min(1)).sqrt()
    return torch.where(n >= 2, weights * centred / (std + groups.epsilon), torch.zeros_like(centred))


def _reward(groups: Groups) -> Tensor:
    """Ada-GRPO (arXiv 2505.20258): the reward is weighted, then plain GRPO."""
    return groups.standardise(groups.weights * groups.rewards, groups.judged)


def _within_mode(groups: Groups) -> Tensor:
    """A baseline and a spread for each mode: no push between the modes at all; a mode's only rollout gets 0."""
    consulting = groups.standardise(groups.rewards, groups.judged & groups.consulted)
    return consulting + groups.standardise(groups.rewards, groups.judged & ~groups.consulted)


STRATEGIES: dict[str, Callable[[Groups], Tensor]] = {
    "none": _none,
    "all": _all,
    "balanced": _balanced,
    "positive": _positive,
    "reward": _reward,
    "within_mode": _within_mode,
}
"""Rebalancing by name; the names of `ifpo.rebalance`."""


def grpo_advantages(rewards: Tensor, group_size: int, *, epsilon: float = EPSILON) -> Tensor:
    """GRPO's advantages (N,), equal to TRL's.

    >>> grpo_advantages(torch.tensor([1.0, 0.0]), 2).round(decimals=3)
    tensor([ 0.7070, -0.7070])
    """
    return ifpo_advantages(rewards, torch.zeros_like(rewards, dtype=torch.bool), group_size, rebalance="none", epsilon=epsilon)


def ifpo_advantages(
    rewards: Tensor,
    consulted: Tensor,
    group_size: int,
    *,
    rebalance: str = "positive",
    max_weight: float | None = None,
    epsilon: float = EPSILON,
) -> Tensor:
    """Rebalanced advantages (N,); see the module for the formulas.

    Args:
        rewards: (N,) float; NaN where no judge could say.
        consulted: (N,) bool; whether the rollout consulted.
        group_size: G; N is a multiple of it, groups are contiguous.
        rebalance: A name of `STRATEGIES`.
        max_weight: w_max; None is no cap.
        epsilon: Added to the standard deviation.

    Raises:
        ValueError: A shape, a group size or a name does not fit.
    """
    weights = mode_weights(rewards, consulted, group_size, max_weight=max_weight)
    return weighted_advantages(rewards, consulted, group_size, weights, rebalance=rebalance, epsilon=epsilon)


def weighted_advantages(
    rewards: Tensor, consulted: Tensor, group_size: int, weights: Tensor, *, rebalance: str, epsilon: float = EPSILON
) -> Tensor:
    """Advantages (N,) with the weights given, as for batch frequencies or a decay."""
    _check(rewards, consulted, group_size)
    if rebalance not in STRATEGIES:
        raise ValueError(f"rebalance is {rebalance!r}; expected one of {', '.join(STRATEGIES)}")
    judged = ~torch.isnan(rewards)
    shape = (-1, group_size)
    groups = Groups(
        rewards=torch.nan_to_num(rewards, nan=0.0).reshape(shape),
        judged=judged.reshape(shape),
        consulted=consulted.bool().reshape(shape),
        weights=weights.to(rewards.dtype).reshape(shape),
        epsilon=epsilon,
    )
    enough = groups.judged.sum(1, keepdim=True) >= 2
    advantages = torch.where(enough & groups.judged, STRATEGIES[rebalance](groups), torch.zeros_like(groups.rewards))
    return advantages.reshape(-1)


def mode_weights(
    rewards: Tensor, consulted: Tensor, group_size: int, *, max_weight: float | None = None, frequency: str = "group"
) -> Tensor:
    """Inverse-frequency weights (N,): total / (M n_m) over the judged rollouts of the group (or the batch), capped."""
    _check(rewards, consulted, group_size)
    if max_weight is not None and not max_weight >= 1:
        raise ValueError(f"max_weight is {max_weight}; expected at least 1")
    size = rewards.numel() if frequency == "batch" else group_size
    judged = (~torch.isnan(rewards)).reshape(-1, size)
    modes = consulted.bool().reshape(-1, size)
    n_consult = (judged & modes).sum(1, keepdim=True)
    n_direct = (judged & ~modes).sum(1, keepdim=True)
    both = (n_consult > 0) & (n_direct > 0)
    of_own_mode = torch.where(modes, n_consult, n_direct).clamp_min(1)
    inverse = (n_consult + n_direct).double() / (2 * of_own_mode)
    weights = torch.where(both, inverse, torch.ones_like(inverse))
    return weights.clamp(max=max_weight if max_weight is not None else math.inf).to(rewards.dtype).reshape(-1)


def decay(weights: Tensor, step: int, decay_steps: int) -> Tensor:
    """The weights on a cosine from themselves at step 0 to 1 at `decay_steps`; unchanged where `decay_steps` is 0."""
    if decay_steps <= 0:
        return weights
    share = 0.5 * (1 + math.cos(math.pi * min(step, decay_steps) / decay_steps))
    return 1 + (weights - 1) * share


def one_mode_fraction(rewards: Tensor, consulted: Tensor, group_size: int) -> float:
    """Share of groups whose judged rollouts are all of one mode: nothing can be rebalanced there."""
    judged = (~torch.isnan(rewards)).reshape(-1, group_size)
    modes = consulted.bool().reshape(-1, group_size)
    both = (judged & modes).any(1) & (judged & ~modes).any(1)
    return float((~both).float().mean())


def _check(rewards: Tensor, consulted: Tensor, group_size: int) -> None:
    if rewards.ndim != 1 or consulted.shape != rewards.shape:
        raise ValueError(f"expected rewards and consulted of one shape (N,), got {tuple(rewards.shape)} and {tuple(consulted.shape)}")
    if not rewards.is_floating_point():
        raise ValueError(f"rewards must be floating point, got {rewards.dtype}")
    if group_size < 1 or rewards.numel() % group_size:
        raise ValueError(f"{rewards.numel()} rollouts are not a multiple of group_size {group_size}")
