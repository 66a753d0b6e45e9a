"""`prefect.yaml`, the pools and the automations, without a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.events.schemas.automations import AutomationCore
from prefect.server.api import collections

from ascl_core.artifacts import write_text
from ascl_core.errors import ConfigError
from flows.forms import RetrainForm
from tasks.deployment import deployments, pools
from tasks.deployment.automations import HEARTBEAT_S, LEAST_MISSED, crash_dead_runs, crash_unstarted_runs, notify, retrain_on_change
from tasks.host import interpreter
from tasks.registry.paths import POOLS

ROOT = Path(__file__).parents[2]
VIEW = "aggregate-worker-metadata"
ID = UUID(int=1)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Prefect's server answers about types of workers where it does not reach the internet."""
    monkeypatch.setitem(collections.KNOWN_VIEWS, VIEW, "http://127.0.0.1:9")
    collections.GLOBAL_COLLECTIONS_VIEW_CACHE.clear()
    return asyncio.run(collections.get_collection_view(VIEW))


@pytest.mark.parametrize("name", ["cpu", "gpu", "docker", "kubernetes"])
def test_the_job_variables_of_each_pool_are_those_of_prefect(name: str, workers: dict[str, Any]) -> None:
    pool = pools.read_pool(ROOT, name)
    properties = pools.base_job_template(pool, workers)["variables"]["properties"]
    assert {key: properties[key]["default"] for key in pool.job_variables} == pool.job_variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type: docker\njob_variables: {imagee: x}", "no such job variable"),
        ("type: docker\njob_variables: {volumes: 7}", "job_variables.volumes"),
        ("type: dokcer", "no such type of pool"),
        ("type: process\nlimit: 3", "unknown key"),
        ("type: process\npython: .venv-train/bin/python", "no absolute path of an interpreter"),
    ],
)
def test_a_pool_that_prefect_would_not_take_is_an_error_that_names_the_field(
    tmp_path: Path, text: str, expected: str, workers: dict[str, Any]
) -> None:
    write_text(tmp_path / POOLS / "mine.yaml", text)
    with pytest.raises(ConfigError, match=expected):
        pools.base_job_template(pools.read_pool(tmp_path, "mine"), workers)


def test_the_interpreter_of_a_pool_is_a_variable_beside_the_others_of_its_environment(tmp_path: Path, workers: dict[str, Any]) -> None:
    write_text(tmp_path / POOLS / "mine.yaml", "type: docker\npython: /opt/train/bin/python\njob_variables: {env: {A: b}}")
    template = pools.base_job_template(pools.read_pool(tmp_path, "mine"), workers)
    assert template["variables"]["properties"]["env"]["default"] == {"A": "b", interpreter.VARIABLE: "/opt/train/bin/python"}


def test_no_pool_names_a_credential() -> None:
    for file in (ROOT / POOLS).glob("*.yaml"):
        assert not re.search(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY", file.read_text(encoding="utf-8"))


def test_every_deployment_has_a_flow_a_pool_and_a_description() -> None:
    described = deployments.read_file(ROOT)
    assert [one.name for one in described.deployments] == ["retrain", "evaluate", "promote", "watch-rules", "compare"]
    for one in described.deployments:
        file, _, function = one.entrypoint.partition(":")
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")
        pools.read_pool(ROOT, one.work_pool.name)


def test_a_run_is_never_called_dead_before_it_has_missed_three_heartbeats() -> None:
    assert crash_dead_runs().trigger.within.total_seconds() >= LEAST_MISSED * HEARTBEAT_S  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="less than 3 heartbeats of 30 s"):
        crash_dead_runs(30, 89)


@pytest.mark.parametrize("automation", [crash_dead_runs(), crash_unstarted_runs()])
def test_a_run_that_says_anything_at_all_is_not_called_dead(automation: AutomationCore) -> None:
    assert automation.trigger.expect == {"prefect.flow-run.*"}  # type: ignore[union-attr]


def test_the_rules_of_the_event_are_what_is_retrained_and_pushed_only_if_asked() -> None:
    [action] = retrain_on_change(ID).actions
    form = action.parameters["form"]  # type: ignore[union-attr]
    assert form["rules"] == {
        name: f"{{{{ event.payload.{key} }}}}" for name, key in {"source": "source", "digest": "new_digest", "watched": "watched"}.items()
    }
    assert form["push"] is False
    [pushing] = retrain_on_change(ID, push=True).actions
    assert pushing.parameters["form"]["push"] is True  # type: ignore[union-attr]
    RetrainForm.model_validate(form | {"rules": {**dict.fromkeys(form["rules"], ""), "source": "HEAD"}})


def test_no_deployment_runs_by_itself_until_somebody_turns_its_schedule_on() -> None:
    schedules = [schedule for one in deployments.read_file(ROOT).deployments for schedule in one.schedules]
    assert schedules
    assert not any(schedule.active for schedule in schedules)


@pytest.mark.parametrize(
    ("on_server", "asked", "active"),
    [(None, None, False), (None, True, True), (True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_a_schedule_stays_as_it_is_on_the_server_unless_a_deploy_turns_it_on_or_off(
    on_server: bool | None, asked: bool | None, active: bool
) -> None:
    described = next(one for one in deployments.read_file(ROOT).deployments if one.schedules)
    [schedule] = deployments.with_schedules(described, on_server, asked).schedules
    assert schedule.active is active


def test_the_webhook_reports_refused_gates_and_runs_that_died() -> None:
    expected = set().union(*(one.trigger.expect for one in notify(ID)))  # type: ignore[union-attr]
    assert expected == {"ascl.gate.failed", "prefect.flow-run.Crashed", "prefect.flow-run.Failed"}
