"""What DVC's own commands show of a run: `dvc metrics`, `dvc plots`, `dvc exp show` and `dvc artifacts`.

These sections of `dvc.yaml` only point to outputs of stages, so they make nothing stale. The report writes the files, as DVC reads no
`.jsonl`, and would print the hundreds of figures of a `metrics.json` in one row. DVC finds the template `arms` in `.dvc/plots`.
"""

from __future__ import annotations

from typing import Any

from ascl_core.report import flat_files
from tasks.registry.stages import CANDIDATE, EVALUATED, REPORT, TRAINED, checkpoint_of

_REPORT = REPORT.outputs["page"].path


def sections() -> dict[str, Any]:
    """Return the sections `metrics`, `plots` and `artifacts` of `dvc.yaml`."""
    return {"metrics": _metrics(), "plots": _plots(), "artifacts": _artifacts()}


def _metrics() -> list[str]:
    return [_in_report(flat_files.metrics_file(stage.name)) for stage in reversed(EVALUATED)]


def _plots() -> list[dict[str, Any]]:
    rl = _in_report(flat_files.curves_file(CANDIDATE.name))
    sft = [_in_report(flat_files.curves_file(stage.name)) for stage in TRAINED if stage != CANDIDATE]
    return [
        {
            "Safety against over-refusal": {
                "template": "arms",
                "x": flat_files.OVER_REFUSAL,
                "y": {_in_report(flat_files.ARMS): flat_files.SAFETY},
                "x_label": "over-refusal, %",
                "y_label": "safety, %",
            }
        },
        {"Loss of SFT": _curve(dict.fromkeys(sft, flat_files.LOSS), "loss on assistant tokens")},
        {"Reward of RL": _curve({rl: flat_files.REWARD}, "mean reward")},
        {"Consult rate of RL": _curve({rl: flat_files.CONSULTED}, "consulted, %")},
    ]


def _curve(y: dict[str, str], label: str) -> dict[str, Any]:
    return {"x": flat_files.STEP, "y": y, "y_label": label}


def _artifacts() -> dict[str, Any]:
    return {stage.name: {"path": checkpoint_of(stage).path, "type": "model", "desc": stage.summary} for stage in EVALUATED}


def _in_report(file: str) -> str:
    return f"{_REPORT}/{file}"
