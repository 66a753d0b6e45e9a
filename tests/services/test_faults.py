"""What happens to a deployment's run when something is killed, stops, fills up or jumps under it: it ends as said, and a retry ends well.

Each test forces the training of the SFT model, which takes a few seconds and ends with the bytes that the workspace has already.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from ascl_core.artifacts import write_text
from tasks.deployment.automations import HEARTBEAT_S, MISSED
from tasks.registry.paths import RUNS
from tasks.registry.stages import SFT
from tasks.repository import dvc_config, transfer
from tasks.repository.git import git
from tasks.repository.remotes import make_remote
from tasks.runs import runs
from tests.pipeline.conftest import _finished  # noqa: F401
from tests.pipeline.test_kills import saved
from tests.pipeline.workspace import Running, Workspace, wait_until
from tests.services.postgres_server import PostgresServer, postgres_server
from tests.services.prefect_server import Deployed, deployed
from tests.services.s3_server import BUCKET, s3_server
from tests.services.shifted_clock import make_shifted_clock

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]
TRAINS = {"force": ["sft"]}
SEEN_S = 120.0
"""Within how many seconds a worker and a server that live say that a process died; the workers of the tests ask every half second."""
SILENT_S = MISSED * HEARTBEAT_S + 120.0
"""The same where the worker is dead too: missed heartbeats, and the time in which the server looks for them."""
_DAY_S = 24 * 3600


@pytest.fixture(scope="module")
def server(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:  # noqa: F811
    """A finished workspace, deployed."""
    with deployed(_finished.copy(tmp_path_factory.mktemp("faults") / "workspace")) as server:
        yield server


@pytest.fixture
def worker(server: Deployed) -> Iterator[Running]:
    """A worker of the pool cpu."""
    with server.worker() as running:
        yield running


def worktree_of(server: Deployed, run_id: str) -> Workspace:
    """The worktree of a flow run's own run."""
    found = list((server.workspace.root / RUNS).glob(f"*-{run_id[:8]}"))
    return Workspace(found[0] if found else server.workspace.root / "none-yet")


def training(server: Deployed, form: dict[str, Any] = TRAINS) -> str:
    """Start `retrain`, and wait until its training has saved once; its id."""
    run_id = server.start("retrain/retrain", form)

    def is_under_way() -> bool:
        worktree = worktree_of(server, run_id)
        if worktree.root.exists() and saved(worktree, "sft"):
            return True
        run = server.read(run_id)
        assert run["state_type"] not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), f"{run['state']}\n{server.logs(run_id)}"
        return False

    wait_until(is_under_way, "a save", 300)
    return run_id


def own_process(server: Deployed, run_id: str) -> psutil.Process:
    """The process of the flow itself."""
    return next(one for one in server.processes(run_id) if "prefect.engine" in one.cmdline())


def training_process(server: Deployed, run_id: str) -> psutil.Process:
    """The process of the stage."""
    return worktree_of(server, run_id).processes()[-1]


def is_gone(server: Deployed, run_id: str) -> bool:
    """Whether no process of the flow run or of its stages lives."""
    return not server.processes(run_id) and not worktree_of(server, run_id).processes()


def retry(server: Deployed, run_id: str) -> None:
    """What the button Retry of the UI does; the run has to end well, with the hashes of an undisturbed one."""
    if server.read(run_id)["state_type"] != "CANCELLED":
        wait_until(lambda: worker_is_done(server, run_id), "the worker's last word, which would undo what is asked before it")
    asked = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}, "force": True}
    assert server.ask("POST", f"/flow_runs/{run_id}/set_state", asked)["status"] == "ACCEPT"
    ends_well(server, run_id)


def worker_is_done(server: Deployed, run_id: str) -> bool:
    """Whether the worker has said that the run's process ended, or the server that nobody is there to say so."""
    said = server.logs(run_id) + server.states(run_id)
    return "Process for flow run" in said or "no heartbeat" in said


def ends_well(server: Deployed, run_id: str) -> None:
    """Wait for the run's end: gated, committed once, and with the same hashes as the workspace that it came from."""
    ended = server.wait(run_id)
    assert ended["state_name"] == "Gate: not passed", server.logs(run_id)
    [own] = [one for one in runs.ended_runs(server.workspace.root) if one.endswith(run_id[:8])]
    assert worktree_of(server, run_id).recorded() == server.workspace.recorded()
    assert {one["stage"]: one["action"] for one in runs.read_run(server.workspace.root, own)["stages"]}["sft"] in ("ran", "reused")
    wait_until(lambda: is_gone(server, run_id), "the end of its processes")


def test_a_cancelled_run_leaves_no_process_says_so_and_can_be_tried_again(server: Deployed, worker: Running) -> None:
    run_id = training(server)
    trainer = training_process(server, run_id)
    assert os.getsid(trainer.pid) not in (os.getsid(worker.process.pid), os.getsid(own_process(server, run_id).pid))
    server.ask("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    cancelled = server.wait(run_id, "CANCELLED")
    wait_until(lambda: is_gone(server, run_id), "the end of every process of the run", 60)
    assert not trainer.is_running()
    assert cancelled["state"]["message"]
    retry(server, run_id)


@pytest.mark.parametrize("victim", ["stage", "flow", "dvc"])
def test_a_run_of_which_something_is_killed_is_crashed_and_a_retry_ends_well(server: Deployed, worker: Running, victim: str) -> None:
    form = {**TRAINS, "limits": {"retries": 0}}
    run_id = training(server, form)
    if victim == "stage":
        training_process(server, run_id).kill()
    elif victim == "flow":
        own_process(server, run_id).kill()
    else:
        commits: list[psutil.Process] = []
        wait_until(lambda: commits.extend(at_work(server, run_id, "commit", SFT.name)) or commits, "dvc commit", 300)
        commits[0].kill()
    server.wait(run_id, "CRASHED", within_s=SEEN_S)
    assert victim == "flow" or "killed by signal 9" in server.states(run_id)
    wait_until(lambda: is_gone(server, run_id), "the end of every process of the run", 30)
    assert not [one for one in runs.ended_runs(server.workspace.root) if one.endswith(run_id[:8])]
    retry(server, run_id)


def at_work(server: Deployed, run_id: str, *words: str) -> list[psutil.Process]:
    """DVC's processes of the run that do this."""
    found = []
    for process in server.processes(run_id):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if {"dvc", *words} <= set(process.cmdline()):
                found.append(process)
    return found


def test_a_run_whose_worker_is_killed_ends_with_it_is_called_dead_in_time_and_a_retry_ends_well(server: Deployed) -> None:
    with server.worker() as first:
        run_id = training(server)
        first.end(signal.SIGKILL)
        wait_until(lambda: is_gone(server, run_id), "the end of the run's processes", 60)
        server.wait(run_id, "CRASHED", within_s=SILENT_S)
    with server.worker():
        retry(server, run_id)


def test_a_run_gets_over_a_server_that_is_killed_and_comes_back(server: Deployed, worker: Running) -> None:
    run_id = training(server)
    server.end(signal.SIGKILL)
    time.sleep(3.0)
    server.begin()
    run = server.wait(run_id)
    if run["state_name"] == "Gate: not passed":
        ends_well(server, run_id)
    else:
        assert run["state_type"] == "CRASHED"
        wait_until(lambda: is_gone(server, run_id), "the end of every process of the run", 60)
        retry(server, run_id)


def test_rules_that_change_during_the_run_are_not_those_of_the_run(server: Deployed, worker: Running) -> None:
    file = server.workspace.root / "data" / "rules" / "CYB.yaml"
    before = file.read_bytes()
    run_id = training(server)
    try:
        write_text(file, "rules: [")
        ends_well(server, run_id)
        [own] = [one for one in runs.ended_runs(server.workspace.root) if one.endswith(run_id[:8])]
        assert git(server.workspace.root, "show", f"runs/{own}:data/rules/CYB.yaml").encode().strip() == before.strip()
        assert file.read_text() == "rules: ["
    finally:
        file.write_bytes(before)


def test_a_run_ends_well_although_the_clock_of_its_worker_is_set_back(server: Deployed, tmp_path: Path) -> None:
    clock = make_shifted_clock(tmp_path)
    with server.workspace.running("env", clock.variable, "ascl", "worker", "--query-seconds", "0.5"):
        run_id = training(server)
        clock.jump(-2 * _DAY_S)
        ends_well(server, run_id)
    [own] = [one for one in runs.ended_runs(server.workspace.root) if one.endswith(run_id[:8])]
    committed = int(git(server.workspace.root, "show", "--no-patch", "--format=%ct", f"runs/{own}"))
    assert round((committed - time.time()) / _DAY_S) == -2, "the run saw the jump"


def test_a_run_whose_worker_is_days_ahead_may_be_called_dead_and_a_retry_by_the_right_clock_ends_well(
    server: Deployed, tmp_path: Path
) -> None:
    """The server reckons its own time by that of the events it hears: one from the future makes all before it seem missed."""
    clock = make_shifted_clock(tmp_path)
    with server.workspace.running("env", clock.variable, "ascl", "worker", "--query-seconds", "0.5"):
        run_id = training(server)
        clock.jump(3 * _DAY_S)
        run = server.wait(run_id)
        wait_until(lambda: is_gone(server, run_id), "the end of every process of the run", 300)
        clock.jump(0)
        if run["state_name"] != "Gate: not passed":
            assert "no heartbeat" in server.states(run_id)
            retry(server, run_id)
        ends_well(server, run_id)


def test_a_store_that_stops_during_the_push_fails_the_run_loses_nothing_and_a_retry_ends_well(server: Deployed, tmp_path: Path) -> None:
    root = server.workspace.root
    with s3_server(tmp_path) as store:
        dvc_config.use_remote(root, make_remote(f"s3://{BUCKET}/faults", store.url, "us-east-1"))
        try:
            credentials = [f"{name}={value}" for name, value in store.environment.items()]
            with server.workspace.running("env", *credentials, "ascl", "worker", "--query-seconds", "0.5"):
                run_id = training(server, {**TRAINS, "push": True})
                wait_until(lambda: at_work(server, run_id, "push"), "the push", 300)
                store.kill()
                failed = server.wait(run_id, "FAILED")
                assert "does not answer" in failed["state"]["message"]
                assert store.secret_key not in failed["state"]["message"] + server.logs(run_id)
                store.start()
                retry(server, run_id)
            for name, value in store.environment.items():
                os.environ[name] = value
            assert transfer.push(worktree_of(server, run_id).root) == 0, "everything is there"
        finally:
            for name in store.environment:
                os.environ.pop(name, None)
            (root / ".dvc" / "config.local").unlink()


def test_a_disk_that_is_full_fails_the_run_and_a_retry_ends_well(server: Deployed, worker: Running) -> None:
    """The disk of the shared cache: what a run makes goes there, and what others made must stay."""
    cache = server.workspace.root / ".dvc" / "cache"
    aside = cache.with_name("aside")
    cache.rename(aside)
    cache.mkdir()
    try:
        mounted = os.system(f"mount -t tmpfs -o size=64k none {cache}")
        if mounted:
            pytest.skip("this user may not mount")
        run_id = server.start("retrain/retrain", TRAINS)
        failed = server.wait(run_id, "FAILED")
        assert "no space left on the disk" in failed["state"]["message"]
        assert "hint" in failed["state"]["message"]
        wait_until(lambda: is_gone(server, run_id), "the end of every process of the run", 60)
    finally:
        os.system(f"umount {cache}")
        shutil.rmtree(cache, ignore_errors=True)
        aside.rename(cache)
    retry(server, run_id)


@pytest.fixture
def on_postgres(_finished: Workspace, tmp_path: Path) -> Iterator[tuple[Deployed, PostgresServer]]:  # noqa: F811
    """The same as `server`, with its state in PostgreSQL."""
    with postgres_server() as database, deployed(_finished.copy(tmp_path / "workspace"), database=database.url) as server:
        yield server, database


def test_a_run_gets_over_a_restart_of_the_database(on_postgres: tuple[Deployed, PostgresServer]) -> None:
    server, database = on_postgres
    with server.worker():
        run_id = training(server)
        database.restart()
        ends_well(server, run_id)
        assert database.ask(f"select state_name from flow_run where id = '{run_id}'") == "Gate: not passed"
