"""A retraining that was announced and got lost: who notices, what is started again, and when people are notified."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from tasks.deployment import last_seen, retrainings
from tasks.deployment.automations import NEVER_STARTED, apply_automation, crash_unstarted_runs
from tasks.deployment.watching import RETRAIN
from tests.pipeline.workspace import Running, make_workspace, wait_until
from tests.services.prefect_server import Deployed, started
from tests.services.test_deployments import edit, rows

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A workspace in which nothing ran, deployed so that retrainings wait for a worker of another pool than the watcher's."""
    with started(make_workspace(tmp_path_factory.mktemp("lost") / "workspace")) as server:
        server.workspace.ascl("deploy", "--training-pool", "gpu")
        yield server


@pytest.fixture(scope="module")
def watcher(server: Deployed) -> Iterator[Running]:
    """The worker of the pool cpu, which runs the watcher and no retraining."""
    with server.worker() as running:
        yield running


@pytest.fixture
def client(server: Deployed) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: server.url}, restore_defaults={PREFECT_API_AUTH_STRING}),
        get_client(sync_client=True) as found,
    ):
        yield found


def watch(server: Deployed) -> tuple[str, str]:
    """Run the watcher; the name and the message of its final state."""
    run = server.wait(server.start("watch-rules/watch-rules", {"source": "HEAD"}))
    assert run["state_name"] != "Failed", f"{run['state']}\n{server.logs(run['id'])}"
    return run["state_name"], run["state"]["message"]


def newest(server: Deployed, known: int) -> dict[str, Any]:
    """The retraining after the first `known` ones, once it is there."""
    wait_until(lambda: len(server.runs(RETRAIN)) > known, "the retraining")
    return server.runs(RETRAIN)[-1]


def put(server: Deployed, run_id: str, state: str, **more: str) -> None:
    """Put a run into a state, as a worker or an automation does."""
    asked = {"state": {"type": state, **more}, "force": True}
    assert server.ask("POST", f"/flow_runs/{run_id}/set_state", asked)["status"] == "ACCEPT"


def test_a_run_that_stays_pending_because_its_worker_ended_is_crashed_and_frees_its_slot(
    server: Deployed, client: SyncPrefectClient
) -> None:
    apply_automation(client, crash_unstarted_runs(within_s=10))
    lost, next_one = server.start("retrain/retrain"), server.start("retrain/retrain")
    asked = {"state": {"type": "PENDING"}}
    assert server.ask("POST", f"/flow_runs/{lost}/set_state", asked)["status"] == "ACCEPT"
    assert server.ask("POST", f"/flow_runs/{next_one}/set_state", asked)["status"] != "ACCEPT", "it holds the only slot"
    assert server.wait(lost, "CRASHED", within_s=120)["state"]["message"] == NEVER_STARTED
    assert server.ask("POST", f"/flow_runs/{next_one}/set_state", asked)["status"] == "ACCEPT"
    put(server, next_one, "CANCELLED")
    done = rows(server.workspace.ascl("deploy", "--training-pool", "gpu"))
    assert [name for name, action in done.items() if action == "updated"] == [
        "automation         ascl: runs that never started are crashed"
    ]


def test_a_lost_retraining_is_started_again_and_after_three_starts_people_are_told(server: Deployed, watcher: Running) -> None:
    known = len(server.runs(RETRAIN))
    assert watch(server)[0] == "No change", "the first look only remembers"
    edit(server, "ever", "1.0.1")
    assert watch(server)[0] == "Rules changed"
    run = newest(server, known)
    assert watch(server)[0] == "No change", "it waits for a worker"
    put(server, run["id"], "PENDING")
    assert watch(server)[0] == "No change", "a worker may be about to start it"
    put(server, run["id"], "CRASHED")
    for start in (2, 3):
        name, message = watch(server)
        assert (name, message.endswith(f"was Crashed; start {start} of 3")) == ("Retraining started again", True), message
        assert server.read(run["id"])["state_name"] == "AwaitingRetry"
        put(server, run["id"], "CRASHED")
    name, message = watch(server)
    assert name == "Retraining lost"
    assert "3 starts did not help; read its log" in message
    put(server, run["id"], "SCHEDULED", name="AwaitingRetry")
    with server.worker("gpu"):
        server.wait(run["id"], "RUNNING", within_s=180)
        assert watch(server)[0] == "No change"
        server.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
        server.wait(run["id"], "CANCELLED")
    assert watch(server)[0] == "No change", "a person cancelled it"
    assert len(server.runs(RETRAIN)) == known + 1


def test_an_announcement_that_started_nothing_is_repeated(server: Deployed, watcher: Running, client: SyncPrefectClient) -> None:
    watch(server)  # whatever is there is known
    known = len(server.runs(RETRAIN))
    [automation] = client.read_automations_by_name("ascl: retrain where rules changed")
    client.pause_automation(automation.id)
    edit(server, "really", "1.0.2")
    assert watch(server)[0] == "Rules changed"
    assert watch(server)[0] == "No change", "the event may be on its way"
    client.resume_automation(automation.id)
    seen = last_seen.load("HEAD") or {}
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    last_seen._store("HEAD", {**seen, "announced": hour_ago.isoformat()})
    name, message = watch(server)
    assert name == "Rules changed"
    assert f"announced again, as no retrain started for rules {seen['digest'][:12]}; start 2 of 3" in message
    rules = newest(server, known)["parameters"]["form"]["rules"]
    assert (rules["digest"], rules["watched"]) == (seen["digest"], "HEAD")


def test_a_retraining_that_is_pending_or_late_for_long_is_noticed_by_the_watcher_alone(
    server: Deployed, watcher: Running, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = (last_seen.load("HEAD") or {})["digest"]
    run = server.runs(RETRAIN)[-1]
    put(server, run["id"], "PENDING")
    monkeypatch.setattr(retrainings, "UNSTARTED_S", 0.0)
    found = retrainings.recover(client, RETRAIN, "HEAD", digest)
    assert found is not None
    assert found.action == "started again"
    assert NEVER_STARTED in server.states(run["id"])
    assert server.read(run["id"])["state_name"] == "AwaitingRetry"
    put(server, run["id"], "SCHEDULED", name="Late")
    assert retrainings.recover(client, RETRAIN, "HEAD", digest) is None, "it is not late for long"
    monkeypatch.setattr(retrainings, "_LATE_S", 0.0)
    wait_until(
        lambda: all(one.status != "ONLINE" for one in client.read_workers_for_work_pool("gpu")), "the ended worker of gpu is offline", 180
    )
    waits = retrainings.recover(client, RETRAIN, "HEAD", digest)
    assert waits is not None
    assert (waits.action, waits.message.endswith("ascl worker --pool gpu")) == ("lost", True), waits
    put(server, run["id"], "CRASHED")
    last_seen.dump("HEAD", digest, "released again")
    assert retrainings.recover(client, RETRAIN, "HEAD", digest) is None, "these rules were not announced"
