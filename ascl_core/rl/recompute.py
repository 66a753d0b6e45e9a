"""Compute the rewards and advantages of kept rollouts again, from their terms and modes and the parameters of their training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ascl_core.artifacts import read_parquet
from ascl_core.config.ifpo import STRATEGIES
from ascl_core.errors import DataError
from ascl_core.rewards.reward import total_of
from ascl_core.rl.advantages import ifpo_advantages, mode_weights
from ascl_core.vocabulary import Mode

_PLACED = ("step", "group", "sample")
_READ = [*_PLACED, "mode", "look_ups", "correct", "terms", "reward", "weight", "advantage"]
_APART = {"weight": 1e-5, "advantage": 5e-3}
"""How far float32 may be from what another processor computes. Advantages are divided by 0.0001 where all rewards of a group are equal."""
_HINT = "restore the file: dvc checkout, or ascl pull; or train again"


def recompute(file: Path, ifpo: Mapping[str, Any], *, name: str) -> int:
    """Return the number of rollouts in the file, all of whose rewards, weights and advantages follow from the rest of it.

    `ifpo` is that section of the parameters, as the record of the training has it. `DataError` names the file as `name`, and the first row
    that is not in its order, or whose reward is not that of its terms; else the first whose weight or advantage is another.
    `ConfigError` if this version lacks the training's rebalancing rule or one of its terms.
    """
    STRATEGIES.find(ifpo["rebalance"], "ifpo.rebalance")
    rows = read_parquet(file, columns=_READ).to_pylist()
    shape = tuple(ifpo[key] for key in ("max_steps", "prompts_per_step", "group_size"))
    if len(rows) != math.prod(shape):
        problem = f"has {len(rows)} rollouts, but its training made {' × '.join(map(str, shape))}"
        raise DataError(problem, file=name, hint=_HINT)
    terms = next((list(dict(row["terms"])) for row in rows if row["terms"]), [])
    for number, row in enumerate(rows):
        _check_reward(number, row, shape, terms, name)
    for number, (row, weight, advantage) in enumerate(zip(rows, *_expected(rows, ifpo), strict=True)):
        for key, value in (("weight", weight), ("advantage", advantage)):
            if not math.isclose(row[key], value, rel_tol=_APART[key], abs_tol=_APART[key]):
                raise _differs(number, row, key, value, "the rewards and modes of its group give", name)
    return len(rows)


def _check_reward(number: int, row: Mapping[str, Any], shape: tuple[int, int, int], terms: list[str], name: str) -> None:
    _, groups, size = shape
    wanted = {"step": number // (groups * size) + 1, "group": number // size % groups, "sample": number % size}
    for key, value in wanted.items():
        if row[key] != value:
            raise _differs(number, row, key, value, "the order of the rows gives", name)
    values = dict(row["terms"])
    if (row["reward"] is None) != (not values) or (values and list(values) != terms):
        raise _differs(number, row, "terms", terms if row["reward"] is not None else [], "a rollout with such a reward has", name)
    if values and not math.isclose(row["reward"], total := total_of(values), rel_tol=1e-9, abs_tol=1e-9):
        raise _differs(number, row, "reward", total, "its terms give", name)


def _expected(rows: list[dict[str, Any]], ifpo: Mapping[str, Any]) -> Iterator[list[float]]:
    """Yield the weights of all rollouts, then their advantages."""
    rewards = torch.tensor([math.nan if row["reward"] is None else row["reward"] for row in rows])
    consulted = torch.tensor([row["mode"] == Mode.CONSULT for row in rows])
    bounds = {key: ifpo[key] for key in ("tau", "min_weight", "max_weight")}
    yield mode_weights(rewards, consulted, ifpo["group_size"], **bounds).tolist()
    yield ifpo_advantages(
        rewards,
        consulted,
        ifpo["group_size"],
        rebalance=ifpo["rebalance"],
        **bounds,
        lookups=torch.tensor([len(row["look_ups"]) for row in rows]),
        correct=torch.tensor([row["correct"] for row in rows]),
        efficiency_weight=ifpo["efficiency_weight"],
    ).tolist()


def _differs(number: int, row: Mapping[str, Any], key: str, value: object, why: str, name: str) -> DataError:
    where = ", ".join(f"{part} {row[part]}" for part in _PLACED)
    return DataError(f"{key} is {_shown(row[key])}, but {why} {_shown(value)}", file=name, field=f"row {number + 1} ({where})", hint=_HINT)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(one[0]) if isinstance(one, tuple) else str(one) for one in value) or "nothing"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
