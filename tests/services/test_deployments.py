"""The deployments on a real server with a real worker: forms, runs of their own, the watcher, the approval, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks import runs
from tasks.git import git
from tasks.prefect_policy import Policy
from tasks.prefect_stage import StageRunner
from tasks.stages import EVALUATE, STAGES
from tests.pipeline.conftest import _finished  # noqa: F401
from tests.pipeline.workspace import Workspace, wait_until
from tests.services.prefect_server import Deployed, deployed

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:  # noqa: F811
    """A finished workspace, deployed."""
    folder = tmp_path_factory.mktemp("deployed")
    with deployed(_finished.copy(folder / "workspace"), folder / "server") as server:
        yield server


@pytest.fixture
def worker(server: Deployed) -> Iterator[None]:
    """A worker of the pool cpu."""
    with server.worker():
        yield


def rows(text: str) -> dict[str, str]:
    """What `ascl deploy` printed of each thing."""
    lines = [line.rsplit(maxsplit=1) for line in text.splitlines()]
    return {line[0].strip(): line[1] for line in lines if len(line) == 2 and line[1] in ("created", "updated", "unchanged")}


def edit(server: Deployed, old: str, new: str) -> str:
    """Change the text of a rule file and commit it; returns the commit."""
    root = server.workspace.root
    file = next(file for file in sorted((root / "data" / "rules").glob("*.yaml")) if old in file.read_text(encoding="utf-8"))
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    server.workspace.run("git", "commit", "--quiet", "-am", "rules")
    return git(root, "rev-parse", "HEAD")


def test_a_second_deployment_changes_nothing_and_what_a_person_changed_is_brought_back(server: Deployed) -> None:
    server.ask("PATCH", f"/deployments/{server.ask('GET', '/deployments/name/watch-rules/watch-rules')['id']}", {"paused": False})
    again = rows(server.workspace.ascl("deploy"))
    assert set(again.values()) == {"unchanged"}
    assert len(again) == 10
    pool = server.ask("GET", "/work_pools/cpu")
    server.ask("PATCH", "/work_pools/cpu", {"description": "changed by hand"})
    automation = next(one for one in server.ask("POST", "/automations/filter", {}) if "dead runs" in one["name"])
    server.ask("PATCH", f"/automations/{automation['id']}", {"enabled": False})
    changed = rows(server.workspace.ascl("deploy"))
    assert {name for name, done in changed.items() if done == "updated"} == {
        "work pool          cpu",
        f"automation         {automation['name']}",
    }
    assert server.ask("GET", "/work_pools/cpu")["description"] == pool["description"]


def test_a_retraining_from_the_api_ends_as_a_commit_and_leaves_the_repository_alone(server: Deployed, worker: None) -> None:
    root = server.workspace.root
    before = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")
    run = server.wait(server.start("retrain/retrain"))
    assert run["state_type"] == "COMPLETED", server.logs(run["id"])
    assert run["state_name"] in ("Gate: passed", "Gate: not passed")
    assert (git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")) == before
    [ended] = [one for one in runs.ended_runs(root) if one.endswith(run["id"][:8])]
    said = runs.read_run(root, ended)
    assert said["flow_run"] == run["id"]
    assert {stage["action"] for stage in said["stages"]} == {"restored"}, "nothing had changed since the workspace was finished"
    assert [stage["stage"] for stage in said["stages"]] == [stage.name for stage in STAGES]
    pages = server.artifacts(run["id"])
    assert {"rules-diff", "plan", "report"} <= set(pages)
    assert all(name in pages["report"] for name in EVALUATE)
    assert said["commit"][:12] in pages["report"]


def test_the_forms_keep_their_order_and_have_no_field_that_the_ui_draws_badly(server: Deployed) -> None:
    for name in ("retrain/retrain", "evaluate/evaluate", "promote/promote", "watch-rules/watch-rules", "compare-arms/compare"):
        schema = server.ask("GET", f"/deployments/name/{name}")["parameter_openapi_schema"]
        models = [one for one in schema["definitions"].values() if one["type"] == "object"]
        assert models, name
        for model in models:
            fields = model["properties"]
            assert sorted(field["position"] for field in fields.values()) == list(range(len(fields))), model["title"]
            for key, field in fields.items():
                assert "description" in field or "$ref" in field, (name, key)
                assert not {"anyOf", "oneOf", "discriminator", "exclusiveMinimum", "exclusiveMaximum"} & set(field), (name, key)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"limits": {"retries": 99}}, "limits.retries"),
        ({"rules": {"place": "file:///etc"}}, "rules.place"),
        ({"rules": {"place": "../../elsewhere"}}, "rules.place"),
        ({"training": {"settings": ["base_model.path=/etc/passwd"]}}, "training.settings"),
        ({"training": {"settings": ["evaluate.url=https://me:secret@host"]}}, "training.settings"),
    ],
)
def test_a_form_whose_checks_were_skipped_is_refused_by_the_flow(server: Deployed, worker: None, form: dict[str, Any], told: str) -> None:
    found = server.ask("GET", "/deployments/name/retrain/retrain")
    asked = {"parameters": {"form": form}, "enforce_parameter_schema": False, "state": {"type": "SCHEDULED"}}
    run = server.wait(server.ask("POST", f"/deployments/{found['id']}/create_flow_run", asked)["id"])
    assert run["state_type"] == "FAILED"
    assert told in run["state"]["message"] + server.logs(run["id"])
    assert not [one for one in runs.ended_runs(server.workspace.root) if one.endswith(run["id"][:8])]


def test_bounds_that_a_form_shows_are_refused_by_the_server(server: Deployed) -> None:
    found = server.ask("GET", "/deployments/name/retrain/retrain")
    asked = {"parameters": {"form": {"limits": {"retries": 99}}}, "state": {"type": "SCHEDULED"}}
    server.ask("POST", f"/deployments/{found['id']}/create_flow_run", asked, status=409)


def test_a_stage_on_a_gpu_fails_where_the_limit_does_not_exist(server: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    root = server.workspace.root
    server.workspace.ascl("params", "write", "--set", "compute.device=cuda")
    try:
        with temporary_settings({PREFECT_API_URL: server.url}):

            @flow(persist_result=False)
            def evaluation() -> None:
                with StageRunner(root=root, force=["evaluate_ifpo"], policy=Policy(gpu_limit="no-such-limit")) as run:
                    run(EVALUATE["ifpo"])
                    run.outcomes()

            with pytest.raises(Exception, match="no-such-limit"):
                evaluation()
    finally:
        server.workspace.run("git", "checkout", "--quiet", "--", "params.yaml")


def test_two_changes_of_the_rules_in_a_row_make_one_retraining_for_the_newest(server: Deployed) -> None:
    known = {run["id"] for run in server.runs("retrain")}

    def started() -> list[dict[str, Any]]:
        return [run for run in server.runs("retrain") if run["id"] not in known]

    def watch() -> dict[str, Any]:
        return server.wait(server.start("watch-rules/watch-rules", {"place": "HEAD"}))

    with server.worker("cpu", "--limit", "1"):
        assert watch()["state_name"] == "No change", "the first look only remembers"
    with server.worker("gpu"):  # nobody works on the pool of retrain meanwhile, so both are waiting when it starts
        pass
    with server.worker("cpu", "--limit", "1"):
        edit(server, "title: ", "title: A ")
        first = watch()
        assert first["state_name"] == "Rules changed", first["state"]
        wait_until(started, "the run of the first change")
        edit(server, "title: ", "title: B ")
        assert watch()["state_name"] == "Rules changed"
        wait_until(lambda: len(started()) == 2, "the run of the second change")
        assert watch()["state_name"] == "No change"
        older, newest = started()
        assert server.wait(older["id"])["state_type"] == "CANCELLED"
        ended = server.wait(newest["id"])
    assert ended["state_type"] == "COMPLETED", server.logs(newest["id"])
    assert len(started()) == 2
    said = [runs.read_run(server.workspace.root, one) for one in runs.ended_runs(server.workspace.root)]
    assert [one["flow_run"] for one in said].count(newest["id"]) == 1
    assert older["id"] not in [one["flow_run"] for one in said]
    rules = newest["parameters"]["form"]["rules"]
    assert rules["digest"] == next(one for one in said if one["flow_run"] == newest["id"])["rules"]["digest"]
    assert rules["watched"] == "HEAD"


def test_evaluations_of_several_checkpoints_are_one_table_and_one_commit(server: Deployed, worker: None) -> None:
    root = server.workspace.root
    newest = next(one for one in runs.ended_runs(root) if "retrain" in one)
    run = server.wait(server.start("evaluate/evaluate", {"checkpoints": [newest, "data/models/sft"]}))
    assert run["state_type"] == "COMPLETED", server.logs(run["id"])
    table = server.artifacts(run["id"])["evaluations"]
    assert newest in table
    assert "data/models/sft" in table
    said = runs.read_run(root, next(one for one in runs.ended_runs(root) if one.endswith(run["id"][:8])))
    assert [one["checkpoint"] for one in said["evaluations"]] == [newest, "data/models/sft"]
    assert said["evaluations"][0]["sha256"] == runs.read_run(root, newest)["checkpoint"]["sha256"]
    kept = git(root, "show", f"{said['commit']}:{said['evaluations'][0]['metrics']}")
    assert json.loads(kept)["headline"] == said["evaluations"][0]["headline"]
