"""Trajectories in a fixed ratio of prompt types and modes, such as the paper's 2 : 3 : 2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ascl_core.artifacts import sha256_json
from ascl_core.config.build_sft import Kind
from ascl_core.errors import DataError
from ascl_core.sft.acceptance import Draft
from ascl_core.vocabulary import Mode

_ROUNDING = 1e-9


def mix(drafts: Sequence[Draft], weights: Mapping[Kind, float], size: int | None, seed: int) -> tuple[list[Draft], dict[str, Any]]:
    """Select as many drafts as the ratio allows, but at most `size`, by content hash and in their order, and report what was short.

    A kind of weight w gets ⌊u·w⌋ drafts, where u is the least number of available drafts per unit of weight, or that of `size` if it is
    less. `DataError` names a kind of which there is none.
    """
    available: dict[Kind, list[int]] = {kind: [] for kind in weights}
    for number, (prompt, messages) in enumerate(drafts):
        kind = (prompt.prompt_type, mode_of(messages))
        if kind in available:
            available[kind].append(number)
    if missing := [_name(kind) for kind, found in available.items() if not found]:
        raise DataError(
            "no trajectory of a kind was accepted", field="build_sft.mix", value=missing[0], hint="add prompts of it, or leave it out"
        )
    asked = math.inf if size is None else size / sum(weights.values())
    unit = min(asked, *(len(found) / weights[kind] for kind, found in available.items()))
    taken = {kind: int(unit * weights[kind] + _ROUNDING) for kind in weights}
    chosen: set[int] = set()
    for kind, found in available.items():
        chosen.update(sorted(found, key=lambda number: _rank(drafts[number], seed))[: taken[kind]])
    report = {
        _name(kind): {"weight": weights[kind], "available": len(found), "taken": taken[kind]} for kind, found in sorted(available.items())
    }
    scarce = sorted(_name(kind) for kind, found in available.items() if len(found) / weights[kind] <= unit + _ROUNDING)
    return [drafts[number] for number in sorted(chosen)], {"kinds": report, "short": scarce if unit < asked else []}


def mode_of(messages: Sequence[Mapping[str, Any]]) -> Mode:
    """Return the mode of a well-formed conversation."""
    return Mode.CONSULT if any(message["role"] == "tool" for message in messages) else Mode.DIRECT


def _rank(draft: Draft, seed: int) -> str:
    prompt, messages = draft
    return sha256_json([seed, prompt.id, messages])


def _name(kind: Kind) -> str:
    return f"{kind[0]}_{kind[1]}"
