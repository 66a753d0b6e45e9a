"""What `ascl doctor` and a run refuse beforehand, and what `ascl eval` and `ascl chat` hand on."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import typer

from ascl_core.config.params import Params
from ascl_core.evaluation import __main__ as evaluation
from flows.cli import checkpoints
from tasks.host.preflight import _dvc, _model, _state


def test_without_the_folder_of_dvc_the_doctor_says_how_to_restore_it(tmp_path: Path) -> None:
    check = _dvc(tmp_path)
    assert (check.level, check.hint) == ("error", "git checkout -- .dvc .dvcignore")


@pytest.mark.parametrize("lock", [None, "<<<<<<< HEAD\nstages:\n=======\n>>>>>>> b\n", "stages: ["])
def test_the_doctor_does_not_say_ready_if_the_state_cannot_be_read(tmp_path: Path, lock: str | None) -> None:
    if lock is not None:
        (tmp_path / ".dvc").mkdir()
        (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
        (tmp_path / "dvc.lock").write_text(lock)
    check = _state(tmp_path)
    assert (check.name, check.level) == ("state", "error")
    assert check.hint


def test_a_mistyped_model_is_an_error_that_names_both_possibilities(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no route")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    (check,) = _model(Params.model_validate({"base_model": {"path": "models/ifpo"}}))
    assert (check.level, check.name) == ("error", "params.yaml: base_model.path")
    assert "no such folder; if it is a hub id, the hub cannot be reached" in check.found


def test_the_name_that_an_endpoint_gives_its_model_is_not_looked_for() -> None:
    teacher = {"teacher": "openai", "teacher_model": "owner/name", "teacher_base_url": "http://localhost:1"}
    assert not list(_model(Params.model_validate({"build_sft": teacher})))


def test_an_unknown_key_reaches_whoever_asked_for_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("sft: {max_stepz: 7}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["evaluation", "a", "b", "c", "d", str(tmp_path)])
    assert evaluation.main() == 1
    error = json.loads((tmp_path / "error.json").read_text())
    assert (error["file"], error["field"], error["value"]) == ("params.yaml", "sft.max_stepz", "7")
    assert "max_steps" in error["hint"]


def test_a_chat_keeps_to_the_parameters_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("{}\n", encoding="utf-8")
    started: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        started.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("flows.cli.console.repository_root", lambda: tmp_path)
    monkeypatch.setattr("tasks.host.environment.prepare_environment", lambda _: None)
    monkeypatch.setattr(checkpoints.subprocess, "run", run)
    with pytest.raises(typer.Exit):
        checkpoints.chat("data/models/ifpo", None, "ANY", "Hello")
    (command,) = started
    assert command[command.index("--params") + 1] == str(tmp_path / "params.yaml")
