"""The command line as a whole: every command is found, says what it does, and loads no more than it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.errors import WorkspaceError
from flows.cli import _COMMANDS, _message, app, checkpoints
from flows.cli.console import repository_root
from tasks.host import interpreter
from tasks.registry.stages import RULES


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_every_command_has_a_help_that_begins_with_a_verb(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert f" {name} " in result.output
    [summary] = [line.strip() for line in result.output.splitlines() if line.strip()][1:2]
    assert summary[0].isupper()
    assert not summary.startswith(("The ", "A ", "What ")), summary


def test_the_help_lists_every_command_and_a_typo_names_the_nearest() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert all(f"│ {name} " in result.output for name in _COMMANDS)
    wrong = CliRunner().invoke(app, ["plann"], env={"COLUMNS": "200"})
    assert wrong.exit_code == 2
    assert "Did you mean 'plan'?" in wrong.output


def test_a_command_loads_neither_prefect_nor_the_modules_of_another() -> None:
    run = "import sys; from flows.cli import app; app(['arms', 'list'], standalone_mode=False)"
    heavy = "{'prefect', 'dvc', 'torch', 'flows.cli.pipeline', 'tasks.execution.plan'}"
    code = f"{run}; loaded = {heavy} & set(sys.modules); sys.exit(str(loaded) if loaded else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_package_that_is_missing_within_a_command_is_named_and_a_module_of_ours_is_a_fault() -> None:
    message = _message(ModuleNotFoundError("No module named 'dvc'", name="dvc.repo"))
    assert "needs the package dvc.repo" in message
    assert "ascl[all]" in message
    assert "unexpected" in _message(ModuleNotFoundError("No module named 'tasks.x'", name="tasks.x"))


def test_another_project_that_uses_dvc_is_no_repository_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "dvc.yaml").write_text("stages:\n  train:\n    cmd: python train.py\n")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    with pytest.raises(WorkspaceError, match="not inside an ascl repository"):
        repository_root()
    (tmp_path / "dvc.yaml").write_text("stages:\n  sft:\n    cmd: exec sh tasks/stage.sh sft\n")
    assert repository_root() == tmp_path


def test_an_evaluation_does_not_start_with_an_interpreter_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / RULES.path).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(interpreter.VARIABLE, "/nowhere/bin/python")
    with pytest.raises(WorkspaceError, match="no absolute path of an interpreter"):
        checkpoints.evaluate("data/models/ifpo")
