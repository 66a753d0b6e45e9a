"""The command line as a whole: every command is found, says what it does, and loads no more than it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from flows.cli import _COMMANDS, app


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
