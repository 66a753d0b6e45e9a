"""What a run did, in words: the gate's decision, and a table of what every stage did and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ascl_core.artifacts import digest, read_json
from tasks.evidence.record import read_record
from tasks.registry.stages import CANDIDATE, CORPUS, EVALUATE, GATE, REPORT, Stage, checkpoint_of

_REASONS = 2
"""As many reasons of a stage as a row of a table can carry."""


class Done(Protocol):
    """What a summary needs to know of a materialised stage."""

    @property
    def stage(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def reasons(self) -> Sequence[str]: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Decision:
    """What the gate decided, and why not where it did not."""

    passed: bool
    summary: str
    failing: tuple[str, ...]
    """One line for each criterion that failed."""


def read_decision(root: Path) -> Decision:
    """The gate's decision as the last run left it."""
    values = read_json(root / GATE.outputs["decision"].path)
    failing = tuple(f"{c['name']}: {c['reason']}" for c in values["criteria"] if not c["passed"])
    return Decision(bool(values["passed"]), str(values.get("summary", "")), failing)


def report_page(root: Path) -> Path:
    """Where the report is."""
    return root / REPORT.outputs["page"].path / "index.html"


def last_run(root: Path, stage: Stage) -> tuple[str, float | str]:
    """When the stage last ended, and how many seconds it took; blank where no record says so."""
    record = read_record(root / stage.record.path)
    if record is None:
        return "", ""
    return record.ended.replace("T", " ").removesuffix("+00:00"), record.seconds


def run_summary(root: Path, done: Sequence[Done]) -> dict[str, Any]:
    """What `data/run.json` says of a run that ended: rules, stages, the checkpoint that was evaluated, the gate, the headline figures."""
    decision_file, metrics = root / GATE.outputs["decision"].path, read_json(root / EVALUATE[CANDIDATE.name].outputs["metrics"].path)
    decision, checkpoint = read_decision(root), checkpoint_of(CANDIDATE).path
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


def markdown(done: Sequence[Done], decision: Decision | None) -> str:
    """The run as a Markdown page: the gate first, then the stages."""
    return f"{gate_markdown(decision)}\n{stages_markdown(done)}" if decision is not None else stages_markdown(done)


def gate_markdown(decision: Decision) -> str:
    """The gate's decision, and each criterion that failed in a line of its own."""
    if not decision.failing:
        return f"**Gate: {'passed' if decision.passed else 'not passed'}.** {decision.summary}\n"
    return "**Gate: not passed.** What failed:\n\n" + "".join(f"- {line}\n" for line in decision.failing)


def stages_markdown(done: Sequence[Done]) -> str:
    """A table of every stage with its action, its reason and its time."""
    lines = ["| stage | action | seconds | why |", "|---|---|---:|---|"]
    lines += [f"| {d.stage} | {d.action} | {d.seconds:.1f} | {shortened(d.reasons)} |" for d in done]
    return "\n".join(lines) + "\n"


def shortened(reasons: Sequence[str]) -> str:
    """The first reasons; how many more there are. All of them are in the run's log and in `data/run.json`."""
    more = len(reasons) - _REASONS
    return "; ".join(reasons[:_REASONS]) + (f"; and {more} more" if more > 0 else "")
