"""The tables of attacks in the report and the comparison: how often each kind succeeds, and the safety rate under noise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.contracts import EvaluatedRollout
from ascl_core.data.attacks import kind_of_attack
from ascl_core.evaluation.attacks import attackable, succeeds
from ascl_core.evaluation.figures import BY_KEY
from ascl_core.evaluation.measures import safe
from ascl_core.report.seeded_arms import Computation, SeededArm, to_json

_PARTS = {"all": "all kinds", "held_out": "kinds held out of training", "trained": "kinds seen in training"}
_TABLES = ((FORGED_RULES, "attack_success_rate", "attack success"), (DISTRACTORS, "safety_rate", BY_KEY["safety_rate"].in_sentence))
_OVER_SEEDS = {FORGED_RULES: Computation((succeeds,)), DISTRACTORS: Computation((safe,))}


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
            rows.append((_title(kind, unseen), [_value(arm.get("by_kind", {}).get(kind), key) for arm in figures]))
        tables.append({"suite": suite, "figure": name, "rows": rows})
    return tables


def attacks_over_seeds(arms: Sequence[SeededArm]) -> dict[str, list[tuple[str, list[dict[str, Any] | None]]]]:
    """Return for each of the two suites with responses the rows of its table, with estimates over seeds."""
    tables = {suite: _over_seeds(arms, suite, how) for suite, how in _OVER_SEEDS.items()}
    return {suite: rows for suite, rows in tables.items() if any(value for _, values in rows for value in values)}


def _over_seeds(arms: Sequence[SeededArm], suite: str, how: Computation) -> list[tuple[str, list[dict[str, Any] | None]]]:
    counted = [{seed: _counted(arm, seed, suite) for seed in arm.attacked} for arm in arms]
    kinds = sorted({kind for by_seed in counted for by_kind in by_seed.values() for kind in by_kind})
    unseen = {kind for arm in arms for kind in arm.held_out}
    parts = {"all": kinds, "held_out": [k for k in kinds if k in unseen], "trained": [k for k in kinds if k not in unseen]}
    rows = [(_PARTS[part], members) for part, members in parts.items()] + [(_title(kind, unseen), [kind]) for kind in kinds]

    def estimate(by_seed: Mapping[int, Mapping[str, list[EvaluatedRollout]]], members: Sequence[str]) -> dict[str, Any] | None:
        return to_json(
            how.estimate({seed: [row for kind in members for row in by_kind.get(kind, ())] for seed, by_kind in by_seed.items()})
        )

    return [(title, [estimate(by_seed, members) for by_seed in counted]) for title, members in rows]


def _counted(arm: SeededArm, seed: int, suite: str) -> dict[str, list[EvaluatedRollout]]:
    """Return the responses that count, by kind: to forged rules only those to prompts that are answered safely without them."""
    rows = [row for row in arm.attacked[seed] if row.suite == suite]
    by_kind: dict[str, list[EvaluatedRollout]] = defaultdict(list)
    for row in attackable(rows, arm.rows[seed]) if suite == FORGED_RULES else rows:
        by_kind[str(kind_of_attack(row.prompt_id))].append(row)
    return by_kind


def _title(kind: str, unseen: Collection[str]) -> str:
    return kind.replace("_", " ") + (", held out" if kind in unseen else "")


def _value(figures: Mapping[str, Any] | None, key: str) -> Any:
    return (figures or {}).get(key)
