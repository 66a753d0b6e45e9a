"""Pages of Prefect's UI, in Markdown: the plan of a run, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json
from tasks.plan import Plan
from tasks.runs import Run
from tasks.stages import EVALUATE
from tasks.summary import Done, markdown, read_decision, report_page


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; a bar within a cell does not end it."""
    lines = [list(columns), ["---"] * len(columns), *([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plan_page(plan: Plan) -> str:
    """What a run is going to do, why, and how long it took the last time."""
    unknown = sum(step.seconds is None for step in plan.to_run)
    told = f"**{len(plan.to_run)} of {len(plan.steps)} stages run**: {plan.seconds:.0f} s by their last times"
    more = f", and {unknown} that never ran here" if unknown else ""
    rows = [(s.stage, s.action, "; ".join(s.reasons), "" if not s.seconds else f"{s.seconds:.0f} s") for s in plan.steps]
    return f"{told}{more}.\n\n{table(('stage', 'does', 'why', 'last time'), rows)}"


def report(run: Run, done: Sequence[Done], commit: str) -> str:
    """The end of a run: the gate, the figures of every arm, the stages, and where everything is."""
    arms = {name: read_json(run.place / stage.outputs["metrics"].path)["headline"] for name, stage in EVALUATE.items()}
    where = f"Run `{run.id}`, commit `{commit[:12]}` on `{run.branch}`. Report: `{report_page(run.place)}`.\n"
    return f"{where}\n{figures(arms)}\n{markdown(done, read_decision(run.place))}"


def figures(arms: Mapping[str, Mapping[str, Any]]) -> str:
    """The headline figures with their intervals, one arm or checkpoint a row."""
    names = list(dict.fromkeys(name for headline in arms.values() for name in headline))
    rows = [(arm, *(_figure(headline.get(name)) for name in names)) for arm, headline in arms.items()]
    return table(("", *(name.replace("_", " ") for name in names)), rows)


def _figure(estimate: Mapping[str, Any] | None) -> str:
    return "" if not estimate else f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def read_report(place: Path) -> str:
    """The tables of a comparison."""
    return (place / "data" / "comparison" / "comparison.md").read_text(encoding="utf-8")
