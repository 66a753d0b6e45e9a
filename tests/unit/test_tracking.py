"""A run is reported to the tracker that the environment names, and no tracker can fail it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import write_json, write_jsonl, write_text
from ascl_core.errors import ConfigError
from tasks.execution.up_to_date import Action, Outcome
from tasks.host.tracker import TRACKERS, VARIABLE, tracker_check
from tasks.registry.paths import OPENED_RUN, PARAMETERS, TRACKING
from tasks.registry.stages import CORPUS, EVALUATION, GATE, SFT, VALIDATE_RULES, Stage
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tasks.runs import tracking
from tasks.runs.trackers import OPEN

DIGEST, RUN = "ab" * 32, "20261130-retrain-0a1b2c3d"
FACTS = {"run": RUN, "rules": DIGEST, "released": "nothing", "gate": "failed: utility"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The worktree of a run with the outputs of its stages that are reported."""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "start", environment=NOBODY)
    write_text(tmp_path / PARAMETERS, "sft:\n  max_steps: 3\n  schedule: [cosine]\n")
    write_json(tmp_path / OPENED_RUN, {"id": RUN})
    write_json(tmp_path / CORPUS.path, {"digest": DIGEST})
    head = {"stage": "sft", "config": {"seed": 0}}
    write_jsonl(tmp_path / SFT.outputs["log"].path, [head, *({"step": i, "loss": 8 / i} for i in (1, 2, 4))])
    write_json(tmp_path / EVALUATION.outputs["metrics"].path, {"headline": {"h_avg": {"value": 0.75}, "utility": None}})
    decision = {"passed": False, "criteria": [{"passed": False}, {"passed": True}], "summary": FACTS["gate"]}
    write_json(tmp_path / GATE.outputs["decision"].path, decision)
    return tmp_path


def report(root: Path, action: Action = "ran", stages: tuple[Stage, ...] = (VALIDATE_RULES, SFT, EVALUATION, GATE)) -> list[str]:
    """Report these stages as a run does, and return the warnings."""
    warnings: list[str] = []
    with tracking.tracked(root, "flow-run", warnings.append) as done:
        for stage in stages:
            done(stage, Outcome(stage.name, action, ("a test",), 1.0))
    return warnings


@pytest.fixture
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A tracker that is installed; the environment is as it was afterwards."""
    name = str(request.param)
    pytest.importorskip(name, reason=f"the tracker {name} is not installed: uv pip install {name}")
    before = dict(os.environ)
    monkeypatch.setenv(VARIABLE, name)
    yield name
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("name", [None, "", "none"])
def test_without_a_tracker_nothing_is_written(name: str | None, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if name is not None:
        monkeypatch.setenv(VARIABLE, name)
    report(root)
    assert not (root / TRACKING).exists()
    assert tracker_check().level == "ok"


def test_an_unknown_tracker_is_an_error_before_the_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "mlfow")
    check = tracker_check()
    assert (check.level, "mlflow" in check.hint) == ("error", True)
    with pytest.raises(ConfigError, match="no such tracker"):
        report(root)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_one_warning(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    monkeypatch.setenv(VARIABLE, name)
    [warning] = report(root)
    assert f"uv pip install {name}" in warning
    assert tracker_check().level == "warning"


def test_every_tracker_that_can_be_named_has_an_adapter() -> None:
    assert tuple(OPEN) == TRACKERS


@pytest.mark.parametrize("content", ["{", '{"headline": {"h_avg": 0.75}}'])
def test_outputs_that_cannot_be_read_are_a_warning(content: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tensorboard")
    write_text(root / EVALUATION.outputs["metrics"].path, content)
    [warning] = report(root, stages=(EVALUATION,))
    assert f"the outputs of {EVALUATION.name} cannot be reported" in warning


@pytest.mark.parametrize("chosen", TRACKERS, indirect=True)
def test_a_run_that_does_nothing_is_no_run_of_the_tracker(chosen: str, root: Path) -> None:
    report(root, "reused")
    assert not (root / TRACKING).exists()


@pytest.mark.parametrize("chosen", ["tensorboard"], indirect=True)
def test_tensorboard_s_own_reader_reads_the_run(chosen: str, root: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert report(root) == []
    events = EventAccumulator(str(root / TRACKING / "tensorboard" / RUN))
    events.Reload()
    assert set(events.Tags()["tensors"]) >= {"sft/loss", "evaluate_ifpo/h_avg", "gate/gate_passed", "parameters", *FACTS}
    values = {name: [(e.step, e.tensor_proto) for e in events.Tensors(name)] for name in events.Tags()["tensors"]}
    assert [(step, one.float_val[0]) for step, one in values["sft/loss"]] == [(1, 8.0), (2, 4.0), (4, 2.0)]
    assert values["evaluate_ifpo/h_avg"][0][1].float_val[0] == 0.75
    assert {name: values[name][0][1].string_val[0].decode() for name in FACTS} == FACTS
    assert b"sft.max_steps: 3" in values["parameters"][0][1].string_val[0]


@pytest.mark.parametrize("chosen", ["mlflow"], indirect=True)
def test_mlflow_keeps_the_run_in_a_database_without_a_server(chosen: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert report(root) == []
    check_mlflow(f"sqlite:///{root / TRACKING / 'mlflow.db'}")


@pytest.mark.parametrize("chosen", ["wandb"], indirect=True)
def test_wandb_keeps_the_run_offline(chosen: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert report(root) == []
    [file] = (root / TRACKING / "wandb").glob("offline-run-*/run-*.wandb")
    content = file.read_bytes()
    assert all(text.encode() in content for text in ("sft/loss", "evaluate_ifpo/h_avg", "gate/failed_criteria", DIGEST, RUN))


@pytest.mark.parametrize("chosen", ["trackio"], indirect=True)
def test_trackio_keeps_the_run_in_its_own_folder(chosen: str, root: Path) -> None:
    from trackio.sqlite_storage import SQLiteStorage

    assert report(root) == []
    logs = SQLiteStorage.get_logs("ascl", RUN)
    assert [(row["step"], row["sft/loss"]) for row in logs if "sft/loss" in row] == [(1, 8.0), (2, 4.0), (4, 2.0)]
    assert any(row.get("rules") == DIGEST for row in logs)


def check_mlflow(uri: str) -> None:
    """Read the run back with MLflow's client."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment: Any = client.get_experiment_by_name("ascl")
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == (RUN, "FINISHED")
    assert run.data.params == {"sft.max_steps": "3", "sft.schedule": '["cosine"]'}
    assert run.data.metrics == {"sft/loss": 2.0, "evaluate_ifpo/h_avg": 0.75, "gate/gate_passed": 0.0, "gate/failed_criteria": 1.0}
    assert {name: run.data.tags[name] for name in FACTS} == FACTS
    assert [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, "sft/loss")] == [(1, 8.0), (2, 4.0), (4, 2.0)]
