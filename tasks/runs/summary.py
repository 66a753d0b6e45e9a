"""The summary of a run: the gate's decision, and a table of what every stage did and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, read_json
from ascl_core.report.advice import describe_failures
from tasks.evidence.record import read_record
from tasks.execution.up_to_date import Outcome
from tasks.registry.stages import CANDIDATE, CHECKPOINT, CORPUS, DECISION, METRICS, REPORT, Stage

_REASONS = 2
"""The number of reasons of a stage in a row of a table."""


@dataclass(frozen=True)
class Decision:
    """The gate's decision and its reasons."""

    passed: bool
    summary: str
    failing: tuple[str, ...]
    """One line for each criterion that failed."""


def read_decision(root: Path) -> Decision:
    """Return the gate's decision of the last run."""
    values = read_json(root / DECISION)
    return Decision(bool(values["passed"]), str(values.get("summary", "")), describe_failures(values["criteria"]))


def report_page(root: Path) -> Path:
    """Return the path of the report."""
    return root / REPORT.outputs["page"].path / "index.html"


def last_run(root: Path, stage: Stage) -> tuple[str, float | str]:
    """Return when the stage last ended, and how many seconds it took; empty without a record."""
    record = read_record(root / stage.record.path)
    if record is None:
        return "", ""
    return record.ended_at, record.seconds


def run_summary(root: Path, done: Sequence[Outcome]) -> dict[str, Any]:
    """Return the content of `data/run.json`: rules, stages, the checkpoint that was evaluated, the gate, the headline figures."""
    decision_file, metrics = root / DECISION, read_json(root / METRICS)
    decision, checkpoint = read_decision(root), CHECKPOINT
    return {
        "rules": {"digest": read_json(root / CORPUS.path)["digest"]},
        "stages": [{"stage": d.stage, "action": d.action, "reasons": list(d.reasons), "seconds": round(d.seconds, 1)} for d in done],
        "checkpoint": {"stage": CANDIDATE.name, "path": checkpoint, "sha256": digest(root / checkpoint)},
        "gate": {
            "passed": decision.passed,
            "summary": decision.summary,
            "failing": list(decision.failing),
            "sha256": digest(decision_file),
        },
        "headline": metrics["headline"],
    }


def markdown(done: Sequence[Outcome], decision: Decision | None) -> str:
    """Return the run as a Markdown page: the gate, then the stages."""
    return f"{gate_markdown(decision)}\n{stages_markdown(done)}" if decision is not None else stages_markdown(done)


def gate_markdown(decision: Decision) -> str:
    """Return the gate's decision, with a line for each criterion that failed."""
    if not decision.failing:
        return f"**Gate: {'passed' if decision.passed else 'not passed'}.** {decision.summary}\n"
    return "**Gate: not passed.** What failed:\n\n" + "".join(f"- {line}\n" for line in decision.failing)


def stages_markdown(done: Sequence[Outcome]) -> str:
    """Return a table of every stage with its action, its time and its reasons."""
    lines = ["| stage | action | seconds | why |", "|---|---|---:|---|"]
    lines += [f"| {d.stage} | {d.action} | {d.seconds:.1f} | {shortened(d.reasons)} |" for d in done]
    return "\n".join(lines) + "\n"


def shortened(reasons: Sequence[str]) -> str:
    """Return the first reasons, and how many more there are; `ascl plan --json`, the run's log and `data/run.json` have all."""
    more = len(reasons) - _REASONS
    return "; ".join(reasons[:_REASONS]) + (f"; and {more} more" if more > 0 else "")
