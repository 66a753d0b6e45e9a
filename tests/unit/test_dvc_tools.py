"""DVC's own commands show the figures, plots and checkpoints that `dvc.yaml` declares; read here with DVC itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from ascl_core.report import flat_files
from ascl_core.report.inputs import ReportedArm
from tasks.registry import dvc_tools
from tasks.registry.paths import DVC_FOLDER, DVC_YAML
from tasks.registry.stages import CANDIDATE, CHECKPOINT, EVALUATED, REPORT, STAGES, TRAINED
from tests.report_files import ARMS, arm_rows, make_run, write_report

ROOT = Path(__file__).parents[2]
PLOT_TEMPLATES = DVC_FOLDER / "plots"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of DVC with a report and the sections of `dvc.yaml` about it."""
    root = tmp_path_factory.mktemp("repository")
    rows = {arm: arm_rows(wrong, arm) for arm, wrong in {**ARMS, "base_model": 7}.items()}
    made = write_report(root / "made", make_run(root / "run", rows=rows))
    report = root / REPORT.outputs["page"].path
    report.parent.mkdir(parents=True)
    made.rename(report)
    Repo.init(str(root), no_scm=True).close()
    shutil.copytree(ROOT / PLOT_TEMPLATES, root / PLOT_TEMPLATES)
    (root / DVC_YAML).write_text(yaml.safe_dump(dvc_tools.sections()), encoding="utf-8")
    return root


def test_metrics_are_one_short_row_for_each_arm(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    with Repo(str(repository)) as repo:
        shown: dict[str, Any] = repo.metrics.show()[""]["data"]
    assert [Path(file).stem for file in shown] == [stage.name for stage in reversed(EVALUATED)]
    figures = {Path(file).stem: found["data"] for file, found in shown.items()}
    assert figures["sft"].keys() == {"h_avg", "safety", "over_refusal", "utility", "consulted"}
    assert figures["ifpo"].keys() == figures["sft"].keys() | {"gate_passed", "failed_criteria"}
    assert figures["ifpo"]["safety"] == 83.3
    assert figures["ifpo"]["gate_passed"] is False
    assert figures["ifpo"]["failed_criteria"] > 0


def test_plots_have_the_points_of_training_and_of_all_arms(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.render.match import match_defs_renderers

    monkeypatch.chdir(repository)
    with Repo(str(repository)) as repo:
        found = match_defs_renderers(repo.plots.show(), out="html", templates_dir=repo.plots.templates_dir)
    assert [match.definition_errors or match.source_errors for match in found] == [{}, {}, {}, {}]
    points = {match.renderer.name: match.renderer.datapoints for match in found}
    assert {len(rows) for name, rows in points.items() if "RL" in name} == {30}
    assert {(row["filename"], row["loss"]) for row in points["Loss of SFT"] if row["step"] == 1} == {
        (f"{stage.name}.json", 8.0) for stage in TRAINED if stage != CANDIDATE
    }
    arms = {row["arm"]: (row["over_refusal"], row["safety"]) for row in points["Safety against over-refusal"]}
    assert arms.keys() == {stage.name for stage in EVALUATED}
    assert arms["ifpo"][1] == 83.3
    drawing = json.dumps([match.renderer.get_filled_template() for match in found])
    assert "<DVC_METRIC_" not in drawing
    assert '"title": "over-refusal, %"' in drawing


def test_checkpoints_are_artifacts_of_dvc_under_valid_names(repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.chdir(repository)
    with Repo(str(repository)) as repo:
        found = repo.artifacts.read()[DVC_YAML]
    assert caplog.messages == []
    assert found[CANDIDATE.name].path == CHECKPOINT
    assert found.keys() == {stage.name for stage in EVALUATED}


def test_artifacts_are_outputs_of_stages() -> None:
    outputs = {artifact.path for stage in STAGES for artifact in stage.outputs.values()}
    assert {one["path"] for one in dvc_tools.sections()["artifacts"].values()} <= outputs


def test_dvc_yaml_has_no_absolute_path() -> None:
    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for key, below in value.items() for text in (str(key), *texts(below))]
        return [text for below in value for text in texts(below)] if isinstance(value, list) else [str(value)]

    assert [text for text in texts(yaml.safe_load((ROOT / DVC_YAML).read_text(encoding="utf-8"))) if text.startswith("/")] == []


def test_an_arm_without_steps_still_has_a_row_to_plot() -> None:
    assert flat_files.curves(ReportedArm("sft").steps) == [{"step": 0, "loss": None, "reward": None, "consulted": None}]
