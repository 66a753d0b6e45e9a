"""The report's figures in small flat files, for tools that compare and draw figures: `dvc metrics`, `dvc plots`, spreadsheets.

Rates are in percent. A figure without data is missing in `metrics/ARM.json`, and null in the files of plots, where each row has every key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ascl_core.arms import CANDIDATE
from ascl_core.artifacts import write_json

STEP, LOSS, REWARD, CONSULTED = "step", "loss", "reward", "consulted"
OVER_REFUSAL, SAFETY = "over_refusal", "safety"
_HEADLINE = {"h_avg": "h_avg", SAFETY: "safety_rate", OVER_REFUSAL: "over_refusal_strict", "utility": "utility", CONSULTED: "consult_rate"}
"""The figure of `metrics.json` by its key in the flat file."""
ARMS = "plots/arms.json"


def metrics_file(arm: str) -> str:
    """Return the path of an arm's headline figures, from the folder of the report."""
    return f"metrics/{arm}.json"


def curves_file(arm: str) -> str:
    """Return the path of an arm's training curves, from the folder of the report."""
    return f"plots/{arm}.json"


class ArmFigures(Protocol):
    """What is read of an arm of the report; `tasks` imports this module, so it does not import the report's inputs."""

    @property
    def name(self) -> str: ...
    @property
    def headline(self) -> Mapping[str, Any]: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def steps(self) -> Sequence[Mapping[str, Any]]: ...


def write_flat_files(folder: Path, decision: Mapping[str, Any], own: Iterable[ArmFigures], arms: Iterable[ArmFigures]) -> None:
    """Write the headline figures and the training curves of the run's own arms, and the safety of all arms by over-refusal."""
    for arm in own:
        figures = headline(arm.headline)
        write_json(folder / metrics_file(arm.name), figures | gate_figures(decision) if arm.name == CANDIDATE else figures)
        if arm.config or arm.steps:
            write_json(folder / curves_file(arm.name), curves(arm.steps))
    write_json(folder / ARMS, _safety_by_over_refusal(arms))


def headline(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headline figures that have data, in percent with one decimal.

    >>> headline({"h_avg": {"value": 0.79876}, "utility": None})
    {'h_avg': 79.9}
    """
    return {key: percent for key, name in _HEADLINE.items() if (percent := _percent((figures.get(name) or {}).get("value"))) is not None}


def gate_figures(decision: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether the gate passed, and how many of its criteria failed; empty without a decision.

    >>> gate_figures({"passed": False, "criteria": [{"passed": False}, {"passed": True}]})
    {'gate_passed': False, 'failed_criteria': 1}
    """
    if "passed" not in decision:
        return {}
    return {"gate_passed": bool(decision["passed"]), "failed_criteria": sum(not one["passed"] for one in decision.get("criteria") or ())}


def curves(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return loss, mean reward and consult rate of each step; one row of nulls if there is no step, as a plot needs a row.

    >>> curves([{"step": 1, "loss": 2.5}])
    [{'step': 1, 'loss': 2.5, 'reward': None, 'consulted': None}]
    """
    return [
        {STEP: line[STEP], LOSS: line.get("loss"), REWARD: line.get("reward/mean"), CONSULTED: _percent(line.get("consult_rate"))}
        for line in steps or [{STEP: 0}]
    ]


def _safety_by_over_refusal(arms: Iterable[ArmFigures]) -> list[dict[str, Any]]:
    """Return name, over-refusal and safety of each arm that has both; one row of nulls if there is none."""
    rows = [
        {"arm": arm.name, OVER_REFUSAL: figures[OVER_REFUSAL], SAFETY: figures[SAFETY]}
        for arm in arms
        if {OVER_REFUSAL, SAFETY} <= (figures := headline(arm.headline)).keys()
    ]
    return rows or [{"arm": None, OVER_REFUSAL: None, SAFETY: None}]


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)
