"""The stage `report`: the page, the model card, the data card and the summary of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ascl_core.arms import CANDIDATE
from ascl_core.artifacts import write_json, write_text
from ascl_core.config.report import ReportConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import StageContext
from ascl_core.report.flat_files import write_flat_files
from ascl_core.report.inputs import REFERENCE, RELEASED, Inputs, read_inputs
from ascl_core.report.templates import templates
from ascl_core.report.view import make_view

_PAGES = {"index.html": "page.html.jinja", "model_card.md": "model_card.md.jinja", "data_card.md": "data_card.md.jinja"}


def report(
    *,
    report: ReportConfig,
    rules: RulesConfig,
    corpus: Path,
    released: Path,
    findings: Path,
    suites_manifest: Path,
    curation_counts: Path,
    sft_counts: Path,
    validation: Path,
    logs: tuple[Path, ...],
    metrics: tuple[Path, ...],
    results: tuple[Path, ...],
    decision: Path,
    records: tuple[Path, ...],
    page: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Write `index.html` (self-contained), `model_card.md`, `data_card.md`, `summary.json` and the flat files of figures into `page`.

    A figure without data is shown as "no data"; a file that cannot be read is a `DataError`. The same inputs give the same bytes.
    """
    context.progress.update("report", 0, len(_PAGES) + 1)
    inputs = read_inputs(
        corpus=corpus,
        released=released,
        findings=findings,
        suites_manifest=suites_manifest,
        curation_counts=curation_counts,
        sft_counts=sft_counts,
        validation=validation,
        decision=decision,
        logs=logs,
        metrics=metrics,
        results=results,
        records=records,
    )
    view = make_view(inputs, report, rules.at, context.run)
    environment = templates()
    for done, (name, template) in enumerate(_PAGES.items(), start=1):
        write_text(page / name, environment.get_template(template).render(view))
        context.progress.update("report", done, len(_PAGES) + 1, name)
    write_json(page / "summary.json", _summary(inputs, view))
    own = [arm for arm in inputs.arms if arm.name != RELEASED]
    write_flat_files(page, inputs.decision, own, inputs.arms)
    context.progress.update("report", len(_PAGES) + 1, len(_PAGES) + 1)
    return {"arms": len(inputs.arms), "conversations": len(view["samples"])}


def _summary(inputs: Inputs, view: dict[str, Any]) -> dict[str, Any]:
    """Return the page's figures for programs; a figure without data is null."""
    return {
        "schema": "ascl.report/1",
        "title": view["title"],
        "run": view["run"],
        "ended": inputs.ended,
        "released": inputs.arm(RELEASED).metrics.get("tag"),
        "rules_change": {"class": str(view["change"].change_class), "rules": [rule.rule_id for rule in view["rules_diff"]]},
        "sentence": view["sentence"],
        "passed": inputs.decision.get("passed"),
        "criteria": inputs.decision.get("criteria") or [],
        "candidate": CANDIDATE,
        "reference": REFERENCE,
        "arms": {
            arm.name: {
                "label": arm.label,
                "headline": arm.headline,
                "judge": arm.metrics.get("judge"),
                "checkpoint_sha256": arm.metrics.get("checkpoint_sha256"),
                "steps": len(arm.steps),
            }
            for arm in inputs.arms
        },
        "pareto_front": view["front"],
        "paired": view["paired"],
        "cautions": view["cautions"],
        "corpus_digest": inputs.corpus.digest,
        "rules": len(inputs.corpus.rules),
        "stages": {stage["stage"]: {"seconds": stage["seconds"], "outputs": stage["outputs"]} for stage in view["stages"]},
    }
