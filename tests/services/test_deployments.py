"""The deployments on a real server with a real worker: forms, runs of their own, the watcher, the approval, and what is refused."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from ascl_core.errors import RuleError, StageError
from tasks.execution.policy import RetryPolicy
from tasks.execution.prefect_stage import StageRunner
from tasks.execution.up_to_date import Outcome
from tasks.registry.stages import CURATE, EVALUATE, EVALUATION, STAGES, VALIDATE_RULES, Stage
from tasks.repository.git import git
from tasks.runs import runs
from tests.demo import trust
from tests.other_environment import make_environment, started
from tests.pipeline.conftest import _finished  # noqa: F401
from tests.pipeline.workspace import Running, Workspace, wait_until
from tests.services.prefect_server import Deployed, deployed

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:  # noqa: F811
    """A finished workspace with keys, deployed."""
    folder = tmp_path_factory.mktemp("deployed")
    workspace = _finished.copy(folder / "workspace")
    trust(workspace, folder / "keys")
    with deployed(workspace) as server:
        yield server


@pytest.fixture(scope="module")
def worker(server: Deployed) -> Iterator[Running]:
    """A worker of the pool cpu, with the trainer's key."""
    with server.worker(trainer_key=server.workspace.root.parent / "keys" / "trainer.pem") as running:
        yield running


def rows(text: str) -> dict[str, str]:
    """What `ascl deploy` printed of each thing."""
    lines = [line.rsplit(maxsplit=1) for line in text.splitlines()]
    return {line[0].strip(): line[1] for line in lines if len(line) == 2 and line[1] in ("created", "updated", "unchanged")}


def edit(server: Deployed, word: str, version: str, *, locked: bool = True) -> str:
    """Change the wording of a rule, with its version and the lock, and commit it; returns the commit. An old version cannot be locked."""
    root = server.workspace.root
    file = root / "data" / "rules" / "CYB.yaml"
    before, rule, after = file.read_text(encoding="utf-8").partition("- id: CYB-01")
    after = re.sub(r"Do not (\w+ )?write malware", f"Do not {word} write malware", after, count=1)
    after = re.sub(r"version: [\d.]+", f"version: {version}", after, count=1)
    file.write_text(before + rule + after, encoding="utf-8")
    if locked:
        server.workspace.ascl("rules", "lock")
    server.workspace.run("git", "commit", "--quiet", "-am", f"rules {version}")
    return git(root, "rev-parse", "HEAD")


def test_a_second_deployment_changes_nothing_and_what_a_person_changed_is_brought_back(server: Deployed) -> None:
    again = rows(server.workspace.ascl("deploy"))
    assert set(again.values()) == {"unchanged"}
    assert len(again) == 11
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
    assert server.ask("GET", f"/automations/{automation['id']}")["enabled"]
    assert set(rows(server.workspace.ascl("deploy")).values()) == {"unchanged"}


def test_the_watcher_is_scheduled_only_where_a_deploy_says_so_and_the_command_says_what_that_starts(server: Deployed) -> None:
    def active() -> list[bool]:
        return [one["active"] for one in server.ask("GET", "/deployments/name/watch-rules/watch-rules")["schedules"]]

    assert active() == [False]
    said = server.workspace.ascl("deploy", "--watch")
    assert "watch-rules runs every 15 minutes; changed rules start retrain, whose runs push nothing" in said
    assert active() == [True]
    assert set(rows(server.workspace.ascl("deploy")).values()) == {"unchanged"}, "a later deploy leaves the schedule as it is"
    assert "nothing is scheduled" in server.workspace.ascl("deploy", "--no-watch")
    assert active() == [False]


def test_a_retraining_from_the_api_ends_as_a_commit_and_leaves_the_repository_alone(server: Deployed, worker: Running) -> None:
    root = server.workspace.root
    before = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")
    run = server.wait(server.start("retrain/retrain"))
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Gate: not passed"), server.logs(run["id"])
    assert (git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")) == before
    [ended] = [one for one in runs.ended_runs(root) if one.endswith(run["id"][:8])]
    said = runs.read_run(root, ended)
    assert said["flow_run"] == run["id"]
    assert run["name"] == ended
    assert {stage["action"] for stage in said["stages"]} == {"restored"}, "nothing had changed since the workspace was finished"
    assert [stage["stage"] for stage in said["stages"]] == [stage.name for stage in STAGES]
    pages = server.artifacts(run["id"])
    assert {"rules-diff", "plan", "report"} <= set(pages)
    assert all(name in pages["report"] for name in EVALUATE)
    assert said["commit"][:12] in pages["report"]
    assert "nothing was pushed" in pages["report"]
    assert "likely cause: " in pages["report"]
    assert "would be restored" in pages["plan"], "what is restored is not counted as run"


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
    ("form", "expected"),
    [
        ({"limits": {"retries": 99}}, "limits.retries"),
        ({"rules": {"source": "file:///etc"}}, "rules.source"),
        ({"rules": {"source": "../../elsewhere"}}, "rules.source"),
        ({"training": {"settings": ["base_model.path=/etc/passwd"]}}, "training.settings"),
        ({"training": {"settings": ["evaluate.url=https://me:secret@host"]}}, "training.settings"),
    ],
)
def test_a_form_whose_checks_were_skipped_is_refused_by_the_flow(
    server: Deployed, worker: Running, form: dict[str, Any], expected: str
) -> None:
    found = server.ask("GET", "/deployments/name/retrain/retrain")
    asked = {"parameters": {"form": form}, "enforce_parameter_schema": False, "state": {"type": "SCHEDULED"}}
    run = server.wait(server.ask("POST", f"/deployments/{found['id']}/create_flow_run", asked)["id"])
    assert run["state_type"] == "FAILED"
    assert expected in run["state"]["message"] + server.logs(run["id"])
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
                with StageRunner(root=root, force=["evaluate_ifpo"], policy=RetryPolicy(gpu_limit="no-such-limit")) as run:
                    run(EVALUATION)
                    run.outcomes()

            with pytest.raises(Exception, match="no-such-limit"):
                evaluation()
    finally:
        server.workspace.run("git", "checkout", "--quiet", "--", "params.yaml")


def test_a_stage_whose_process_is_killed_is_tried_again_and_one_with_a_wrong_rule_is_not(server: Deployed) -> None:
    root, policy = server.workspace.root, RetryPolicy(retries=2, retry_delays_s=(0.1,))

    @flow(persist_result=False)
    def work(stage: Stage) -> list[Outcome]:
        with StageRunner(root=root, force=[stage.name], policy=policy) as run:
            run(stage)
            return run.outcomes()

    def tries(flow_run: dict[str, Any]) -> int:
        [task_run] = server.ask("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [flow_run["id"]]}}})
        return int(task_run["run_count"])

    def kill_one() -> None:
        wait_until(server.workspace.processes, "a process of the stage")
        for process in server.workspace.processes():
            process.kill()

    file = root / "data" / "rules" / "CYB.yaml"
    rules = file.read_text(encoding="utf-8")
    with temporary_settings({PREFECT_API_URL: server.url}):
        killer = threading.Thread(target=kill_one)
        killer.start()
        [outcome] = work(EVALUATION)
        killer.join()
        assert outcome.action == "ran"
        assert tries(server.runs("work")[-1]) == 2
        file.write_text("rules: [", encoding="utf-8")
        try:
            with pytest.raises(RuleError):
                work(VALIDATE_RULES)
        finally:
            file.write_text(rules, encoding="utf-8")
        assert tries(server.runs("work")[-1]) == 1


@pytest.mark.timeout(1200)
def test_two_changes_of_the_rules_in_a_row_make_one_retraining_for_the_newest(server: Deployed, worker: Running) -> None:
    root, known = server.workspace.root, {run["id"] for run in server.runs("retrain")}

    def started() -> list[dict[str, Any]]:
        return [run for run in server.runs("retrain") if run["id"] not in known]

    def watch() -> str:
        return str(server.wait(server.start("watch-rules/watch-rules", {"source": "HEAD"}))["state_name"])

    assert watch() == "No change", "the first look only remembers"
    edit(server, "ever", "1.0.1")
    assert watch() == "Rules changed"
    wait_until(started, "the run of the first change")
    newer = edit(server, "really", "1.0.2")
    assert watch() == "Rules changed"
    wait_until(lambda: len(started()) == 2, "the run of the second change")
    assert watch() == "No change", "what was announced once is not announced again"
    older, newest = started()
    assert server.wait(older["id"])["state_type"] == "CANCELLED"
    assert not [process for process in server.workspace.processes() if older["id"][:8] in " ".join(process.cmdline())]
    ended = server.wait(newest["id"])
    assert ended["state_name"] == "Gate: not passed", server.logs(newest["id"])
    assert len(started()) == 2
    rules = newest["parameters"]["form"]["rules"]
    assert (rules["source"], rules["watched"]) == (newer, "HEAD")
    said = {one: runs.read_run(root, one) for one in runs.ended_runs(root)}
    assert not [one for one in said if one.endswith(older["id"][:8])]
    [own] = [one for one in said if one.endswith(newest["id"][:8])]
    assert said[own]["rules"]["digest"] == rules["digest"]
    assert "Do not really write malware" in git(root, "show", f"runs/{own}:data/rules/CYB.yaml")


def test_a_retraining_that_newer_rules_have_overtaken_gives_way_before_it_starts(server: Deployed, worker: Running) -> None:
    rules = {"source": "HEAD~1", "watched": "HEAD"}
    run = server.wait(server.start("retrain/retrain", {"rules": rules}))
    assert run["state_type"] == "CANCELLED"
    assert "superseded" in run["state"]["message"]


def test_a_change_without_the_version_that_it_needs_fails_and_names_the_rule(server: Deployed, worker: Running) -> None:
    edit(server, "never", "1.0.2", locked=False)
    try:
        run = server.wait(server.start("watch-rules/watch-rules", {"source": "HEAD"}))
        assert run["state_type"] == "FAILED"
        assert "CYB-01" in run["state"]["message"]
    finally:
        server.workspace.run("git", "reset", "--quiet", "--hard", "HEAD~1")


def test_a_promotion_of_a_run_that_did_not_pass_is_refused_and_an_override_waits_for_two_persons(server: Deployed, worker: Running) -> None:
    newest = next(one for one in runs.ended_runs(server.workspace.root) if "retrain" in one)
    refused = server.wait(server.start("promote/promote", {"run": newest}))
    assert refused["state_type"] == "FAILED"
    assert "the gate did not pass" in refused["state"]["message"]
    sha256 = runs.read_run(server.workspace.root, newest)["checkpoint"]["sha256"]
    run_id = server.start("promote/promote", {"run": newest, "override": True})
    tries = ((2, "the approval is not accepted"), (1, "2 signed approvals are needed"))
    for count, expected in tries:
        server.wait_until_suspended(run_id)
        assert f"`{sha256[:32]}` `{sha256[32:]}`" in server.artifacts(run_id)["approval"]
        answer = {"approvals": ["signed"] * count}
        assert server.ask("POST", f"/flow_runs/{run_id}/resume", {"run_input": answer})["status"] == "ACCEPT"
        wait_until(lambda expected=expected: expected in server.logs(run_id), expected)  # type: ignore[misc]
    server.wait_until_suspended(run_id)

    def heard_last() -> str:
        asked = {"filter": {"resource": {"id": [f"prefect.flow-run.{run_id}"]}}, "limit": 50}
        return str(max(server.ask("POST", "/events/filter", asked)["events"], key=lambda event: str(event["received"]))["event"])

    wait_until(lambda: not server.processes(run_id), "the end of the suspended process")
    wait_until(lambda: heard_last() == "prefect.flow-run.waits-for-approval", "what the server hears last is no heartbeat", 30)
    server.ask("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLED"}, "force": True})


def test_a_pool_may_name_the_interpreter_of_its_stages(server: Deployed, worker: Running, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "train", without=("prefect", "dvc"))
    pool = server.workspace.root / "profiles" / "pools" / "cpu.yaml"
    before = pool.read_text(encoding="utf-8")
    pool.write_text(f"{before}python: {python}\n", encoding="utf-8")
    try:
        assert rows(server.workspace.ascl("deploy"))["work pool          cpu"] == "updated"
        run = server.wait(server.start("evaluate/evaluate", {"checkpoints": ["data/models/sft"]}))
    finally:
        pool.write_text(before, encoding="utf-8")
        server.workspace.ascl("deploy")
    assert run["state_type"] == "COMPLETED", server.logs(run["id"])
    assert "-m ascl_core.evaluation" in started(python)


def test_evaluations_of_several_checkpoints_are_one_table_and_one_commit(server: Deployed, worker: Running) -> None:
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


def test_the_webhook_reports_a_gate_that_did_not_pass_and_a_run_that_failed_and_its_url_is_never_shown(
    server: Deployed, worker: Running
) -> None:
    received: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        secret = f"http://127.0.0.1:{http.server_port}/T0PSECRET"
        printed = server.workspace.run("/bin/sh", "-c", f"ASCL_WEBHOOK_URL={secret} ascl deploy")
        assert [name for name, done in rows(printed).items() if done == "created"] == [
            *(
                "webhook block      ascl-webhook",
                "automation         ascl: notify of a gate that did not pass",
                "automation         ascl: notify of crashed runs",
            )
        ]
        assert "unchanged" in server.workspace.ascl("deploy"), "the block keeps the URL where the environment has none"
        documents = json.dumps(server.ask("POST", "/block_documents/filter", {}))
        assert "T0PSECRET" not in printed + documents
        assert "ascl-webhook" in documents
        refused = server.wait(server.start("promote/promote", {"run": "no-such-run"}))
        failed = server.wait(server.start("retrain/retrain"))
        assert failed["state_name"] == "Gate: not passed", "the tiny models of the tests never pass"
        wait_until(lambda: {"prefect.flow-run.Failed", "ascl.gate.failed"} <= {one["event"] for one in received}, "both notifications")
        http.shutdown()
    gate = next(one for one in received if one["event"] == "ascl.gate.failed")
    assert gate["resource"] == f"prefect.flow-run.{failed['id']}"
    assert gate["payload"]["failing"]
    assert [one["resource"] for one in received if one["event"] == "prefect.flow-run.Failed"] == [f"prefect.flow-run.{refused['id']}"]


def test_a_run_that_takes_too_long_is_ended_with_everything_that_it_started(server: Deployed) -> None:
    root, policy = server.workspace.root, RetryPolicy(timeout_s=3.0, retries=2)

    @flow(persist_result=False)
    def work() -> list[Outcome]:
        with StageRunner(root=root, force=["curate"], policy=policy) as run:
            run(CURATE)
            return run.outcomes()

    with temporary_settings({PREFECT_API_URL: server.url}), pytest.raises(StageError, match="ran out of time"):
        work()
    assert not server.workspace.processes()
