"""Stages in an environment of their own: without Prefect and DVC, checked before anything starts, and named in their records."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from ascl_core.artifacts import write_text
from ascl_core.errors import WorkspaceError
from tasks.evidence.record import load_record
from tasks.execution import child
from tasks.host import interpreter
from tasks.registry.stages import VALIDATE_RULES
from tests.other_environment import make_environment, started
from tests.pipeline.workspace import Workspace

ORCHESTRATOR = ("prefect", "dvc")


def stage(workspace: Workspace, python: Path, status: int = 0) -> str:
    """What `ascl stages run` prints with stages in that interpreter."""
    return workspace.run("env", f"{interpreter.VARIABLE}={python}", "ascl", "stages", "run", VALIDATE_RULES.name, status=status)


def test_a_stage_runs_in_an_environment_that_has_neither_prefect_nor_dvc_and_its_record_says_what_was_installed(
    fresh: Workspace, tmp_path: Path
) -> None:
    python = make_environment(tmp_path / "train", without=ORCHESTRATOR)
    write_text(fresh.root / "requirements/train.lock", f"torch=={version('torch')}\n")
    stage(fresh, python)
    assert f"-m {child.__name__} {VALIDATE_RULES.name}" in started(python)
    assert load_record(fresh.root, VALIDATE_RULES).installed == "train.lock", "the other locks pin Prefect"


def test_a_stage_is_not_started_in_an_environment_that_lacks_a_package(fresh: Workspace, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "train", without=(*ORCHESTRATOR, "trl"))
    said = stage(fresh, python, status=1)
    assert f"error: {interpreter.VARIABLE}: {python}: stages need packages that it does not have: trl==1.16.0 (missing)" in said
    assert "hint: install what `ascl[train]` requires there" in said
    assert f"-m {child.__name__}" not in started(python)


@pytest.mark.parametrize(
    ("python", "problem"),
    [
        ("bin/python", "no absolute path"),
        ("/nowhere/bin/python", "no absolute path of an interpreter"),
        ("/usr", "no absolute path of an interpreter"),
        ("/bin/false", "cannot import the stages: it said nothing"),
    ],
)
def test_what_is_no_interpreter_is_an_error_that_names_it(python: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(interpreter.VARIABLE, python)
    with pytest.raises(WorkspaceError, match=problem) as caught:
        interpreter.require()
    assert (caught.value.field, caught.value.value) == (interpreter.VARIABLE, python)


def test_an_interpreter_without_the_stages_dependencies_says_what_it_could_not_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(interpreter.VARIABLE, str(make_environment(tmp_path / "empty", without=("",))))
    with pytest.raises(WorkspaceError, match="cannot import the stages: ModuleNotFoundError: No module named"):
        interpreter.require()
