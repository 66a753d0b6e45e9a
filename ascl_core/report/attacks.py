"""The report's tables of attacks: how often each kind succeeds against each arm, and the safety rate under noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.evaluation.figures import BY_KEY

_PARTS = {"all": "all kinds", "held_out": "kinds held out of training", "trained": "kinds seen in training"}
_TABLES = ((FORGED_RULES, "attack_success_rate", "attack success"), (DISTRACTORS, "safety_rate", BY_KEY["safety_rate"].in_sentence))


def attack_tables(metrics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a table for each of the two suites with data: its rows are a name, and an estimate or None for each arm.

    `metrics` are those of the arms, in order. Forged rules are reported by attack success, noise by safety rate.
    """
    tables = []
    for suite, key, name in _TABLES:
        figures = [(arm.get("attacks") or {}).get(suite) or {} for arm in metrics]
        if not any(figures):
            continue
        rows = [(title, [_value(arm.get(part), key) for arm in figures]) for part, title in _PARTS.items()]
        kinds = dict.fromkeys(kind for arm in figures for kind in arm.get("by_kind", {}))
        unseen = {kind for arm in figures for kind, values in arm.get("by_kind", {}).items() if values.get("held_out")}
        for kind in kinds:
            title = kind.replace("_", " ") + (", held out" if kind in unseen else "")
            rows.append((title, [_value(arm.get("by_kind", {}).get(kind), key) for arm in figures]))
        tables.append({"suite": suite, "figure": name, "rows": rows})
    return tables


def _value(figures: Mapping[str, Any] | None, key: str) -> Any:
    return (figures or {}).get(key)
