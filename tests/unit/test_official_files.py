"""The files that Prefect's own commands read say what the project's own commands say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ascl_core.artifacts import read_yaml
from ascl_core.errors import WorkspaceError
from flows.cli.local_set import _DEFAULT
from tasks.deployment import steps
from tasks.host.environment import HEARTBEAT
from tests.pipeline.workspace import REPOSITORY


def test_the_settings_for_prefects_commands_are_those_of_ours_and_known_to_prefect() -> None:
    from prefect.settings import Settings

    values = tomllib.loads((REPOSITORY / "prefect.toml").read_text(encoding="utf-8"))
    assert values["api"]["url"] == _DEFAULT
    assert str(values["flows"]["heartbeat_frequency"]) == HEARTBEAT["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
    for section, names in values.items():
        known = Settings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        assert set(names) <= set(known), section


def test_a_flow_run_works_where_the_variable_says_or_where_its_worker_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [step] = read_yaml(REPOSITORY / "prefect.yaml")["pull"]
    assert list(step) == [f"{steps.__name__}.{steps.enter_repository.__name__}"]
    for name in ("one", "two"):
        (tmp_path / name / "data" / "rules").mkdir(parents=True)
        (tmp_path / name / "prefect.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path / "one"))
    monkeypatch.delenv(steps.ROOT, raising=False)
    assert steps.enter_repository() == {"directory": str(tmp_path / "one")}
    assert Path.cwd() == tmp_path / "one"
    monkeypatch.setenv(steps.ROOT, str(tmp_path / "two"))
    assert steps.enter_repository() == {"directory": str(tmp_path / "two")}
    monkeypatch.delenv(steps.ROOT)
    monkeypatch.setenv("PWD", str(tmp_path))
    assert steps.enter_repository() == {"directory": str(REPOSITORY)}
    monkeypatch.setenv(steps.ROOT, str(tmp_path))
    with pytest.raises(WorkspaceError, match="in no ascl repository"):
        steps.enter_repository()
