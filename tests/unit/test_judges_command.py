"""`ascl judges`: the judges by name, and a calibration as the terminal and programs see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from ascl_core.config.judge import JudgeConfig
from flows.cli.judges import with_table
from tests.pipeline.workspace import Workspace, make_workspace

LABELS = Path(__file__).with_name("refusals.jsonl")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A repository in which nothing has run."""
    return make_workspace(tmp_path_factory.mktemp("judges") / "workspace")


def test_a_calibration_is_a_table_or_json_and_takes_settings_of_the_judge(workspace: Workspace) -> None:
    shown = workspace.ascl("judges", "calibrate", str(LABELS), "--judge", "rules")
    assert "rules@6 on 100 responses" in shown
    assert "refusal, partial counted as full" in shown
    found = json.loads(workspace.ascl("judges", "calibrate", str(LABELS), "--json"))
    assert found["judge"] == "exemplars@3"
    assert found["refusal"]["n"] == 100
    assert found["harm"] is None
    said = workspace.ascl("judges", "calibrate", str(LABELS), "--judge", "policy", "--set", "model=m", "--set", "polcy.format=x", status=1)
    assert "did you mean 'policy'?" in said
    said = workspace.ascl("judges", "calibrate", "nowhere.csv", "--judge", "rules", status=1)
    assert "nowhere.csv" in said


def test_judges_and_formats_are_listed(workspace: Workspace) -> None:
    shown = workspace.ascl("judges", "list")
    for name in (
        *get_args(JudgeConfig.model_fields["name"].annotation),
        "safeguard",
        "dynaguard",
        "nemotron",
        "tomg-group-umd/DynaGuard-8B",
    ):
        assert name in shown


def test_the_table_of_the_page_is_that_of_the_registry() -> None:
    page = (Path(__file__).parents[2] / "docs/judges.md").read_text(encoding="utf-8")
    assert page == with_table(page), "run: ascl judges docs"
    assert page.count("| `ensemble` |") == 1
