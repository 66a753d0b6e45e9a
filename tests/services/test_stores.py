"""The remote on a real S3 server: checkpoints of many parts, a server that stops amid a push, a store that is lost or spoilt."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import write_text
from ascl_core.errors import AsclError, WorkspaceError
from flows.cli import app
from tasks.repository import dvc_config, named, outputs, transfer
from tasks.repository.git import git
from tasks.repository.remote_check import check_remote
from tasks.repository.remotes import make_remote, read_remote
from tasks.repository.store_audit import delete_damaged_objects
from tasks.repository.worktrees import NOBODY
from tests.pipeline.workspace import wait_until
from tests.services.s3_server import BUCKET, S3Server, free_ports
from tests.services.store_world import MODEL, STAGE, StoreWorld, make_store_world

pytestmark = pytest.mark.services
MB = 1_000_000
SHARDED = {f"model-{number:05d}-of-00003.safetensors": 6 * MB + number for number in (1, 2, 3)}


@pytest.fixture
def server(shared_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """It, running, with its credentials in the environment and its address only where the remote says it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "ASCL_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in shared_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    if shared_server.process is None or shared_server.process.poll() is not None:
        shared_server.start()
    return shared_server


@pytest.fixture
def world(server: S3Server, tmp_path: Path) -> StoreWorld:
    """A repository with its remote under a prefix of its own."""
    made = make_store_world(tmp_path / "one")
    made.use(server, tmp_path.name)
    return made


def objects(server: S3Server, prefix: str) -> dict[str, int]:
    """Every object under a prefix with its size."""
    found = server.client().find(f"{BUCKET}/{prefix}", detail=True)
    return {name: int(entry["size"]) for name, entry in found.items() if entry["type"] == "file"}


def remember_when_pushed(world: StoreWorld, outcomes: list[object]) -> threading.Thread:
    """Push in a thread, and keep what comes of it."""

    def pushed() -> None:
        try:
            outcomes.append(transfer.push(world.root))
        except AsclError as error:
            outcomes.append(error)

    thread = threading.Thread(target=pushed)
    thread.start()
    return thread


def size_on_disk(server: S3Server) -> int:
    """How many bytes the server's files have."""
    return sum(file.stat().st_blocks * 512 for file in server.folder.rglob("*") if file.is_file())


def test_checkpoints_of_many_parts_and_of_many_shards_come_back_bit_by_bit(world: StoreWorld, server: S3Server, tmp_path: Path) -> None:
    written = world.write({"model.safetensors": 140 * MB, **SHARDED})
    assert transfer.push(world.root) == len(written) + 1, "each file, and the list of them"
    assert transfer.push(world.root) == 0
    entries = server.client().find(f"{BUCKET}/{tmp_path.name}", detail=True)
    assert "-3" in next(entry["ETag"] for entry in entries.values() if entry["size"] == 140 * MB), "it went up in three parts"
    other = world.elsewhere(tmp_path / "two")
    assert transfer.pull(other.root) == len(written) + 1
    assert other.read() == written
    assert transfer.pull(other.root) == 0


def test_a_server_that_stops_amid_a_push_costs_one_error_and_a_later_push_completes(
    world: StoreWorld, server: S3Server, tmp_path: Path
) -> None:
    written = world.write({"model.safetensors": 200 * MB, **SHARDED})
    before, outcomes = size_on_disk(server), list[object]()
    thread = remember_when_pushed(world, outcomes)
    wait_until(lambda: size_on_disk(server) > before + 30 * MB or outcomes, "a part of the file on the server")
    server.kill()
    thread.join(120)
    assert isinstance(outcomes[0], WorkspaceError), "it is not over before the server stops"
    said = str(outcomes[0])
    assert "does not answer" in said
    assert f"s3://{BUCKET}/{tmp_path.name}" in said
    assert "ascl push" in said
    assert server.secret_key not in said
    assert transfer.is_push_pending(world.root)

    server.start()
    assert not [name for name, size in objects(server, tmp_path.name).items() if size > 10 * MB], "no object has half of it"
    other = world.elsewhere(tmp_path / "two")
    with pytest.raises(WorkspaceError, match="the pull failed"):
        transfer.pull(other.root)
    assert "model.safetensors" not in other.read()
    assert transfer.push(world.root) > 0
    assert not transfer.is_push_pending(world.root)
    transfer.pull(other.root)
    assert other.read() == written


def test_a_push_gets_through_where_the_server_is_back_in_a_moment(world: StoreWorld, server: S3Server, tmp_path: Path) -> None:
    written = world.write({"model.safetensors": 3 * MB})
    server.kill()
    outcomes: list[object] = []
    thread = remember_when_pushed(world, outcomes)
    server.start()
    thread.join(120)
    assert outcomes == [3]
    other = world.elsewhere(tmp_path / "two")
    transfer.pull(other.root)
    assert other.read() == written


def test_half_an_object_in_the_store_is_never_taken_for_whole(world: StoreWorld, server: S3Server, tmp_path: Path) -> None:
    written = world.write({"model.safetensors": 4 * MB})
    transfer.push(world.root)
    name = next(name for name, size in objects(server, tmp_path.name).items() if size == 4 * MB)
    server.client().pipe_file(name, written["model.safetensors"][: 2 * MB])
    other = world.elsewhere(tmp_path / "two")
    with pytest.raises(WorkspaceError, match="the pull failed"):
        transfer.pull(other.root)
    assert "model.safetensors" not in other.read()
    assert not [file for file in (other.root / ".dvc/cache/files").rglob("*") if file.is_file() and file.stat().st_size == 2 * MB]
    assert transfer.push(world.root) == 0, "a push alone takes what is there for whole"
    recorded = named.named_outputs(world.root)["dvc.lock"].values()
    assert len(delete_damaged_objects(world.root, recorded)) == 1
    assert transfer.push(world.root) == 2, "whoever has it gives it to the store again, with the list that names it"
    assert delete_damaged_objects(world.root, recorded) == []
    transfer.pull(other.root)
    assert other.read() == written


def test_a_store_that_was_lost_is_filled_again_by_a_push(world: StoreWorld, server: S3Server, tmp_path: Path) -> None:
    written = world.write(SHARDED)
    transfer.push(world.root)
    server.client().rm(f"{BUCKET}/{tmp_path.name}", recursive=True)
    assert transfer.push(world.root) == len(written) + 1
    other = world.elsewhere(tmp_path / "two")
    transfer.pull(other.root)
    assert other.read() == written


def keep(world: StoreWorld, name: str) -> dict[str, bytes]:
    """Record a checkpoint and commit its `dvc.lock` on a branch or tag of that name only, as runs and releases are."""
    written = world.write({f"{name.replace('/', '-')}.safetensors": MB})
    shutil.rmtree(world.model)
    git(world.root, "add", "--force", "dvc.lock")
    git(world.root, "commit", "--quiet", "-m", name, environment=NOBODY)
    git(world.root, "update-ref", name, "HEAD")
    git(world.root, "reset", "--quiet", "--hard", "HEAD~1")
    return written


def ascl(world: StoreWorld, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """The exit status of `ascl …` there, and what it prints."""
    (world.root / "data" / "rules").mkdir(parents=True, exist_ok=True)
    (world.root / "pyproject.toml").touch()
    monkeypatch.chdir(world.root)
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, " ".join(done.output.split())


def test_a_push_covers_every_run_and_release_and_says_what_it_cannot_find(
    world: StoreWorld, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {name: keep(world, f"refs/{name}") for name in ("tags/release/1", "remotes/origin/runs/b")}
    world.write({"model.safetensors": MB})
    assert transfer.push(world.root) == 3, "what a run pushes is its own"
    assert ascl(world, monkeypatch, "push") == (0, "6 files pushed")
    other = world.elsewhere(tmp_path / "two")
    write_text(other.root / "dvc.lock", git(world.root, "show", "refs/tags/release/1:dvc.lock"))
    transfer.pull(other.root)
    assert other.read() == written["tags/release/1"]

    world.use(server, f"{tmp_path.name}-new")
    shutil.rmtree(world.root / ".dvc" / "cache")
    outputs.record(world.root, STAGE)
    status, said = ascl(world, monkeypatch, "push")
    assert (status, "3 files pushed" in said, "the remote has everything" in said) == (1, True, False), said
    for name in ("release/1", "runs/b"):
        assert f"{name}: neither here nor in the remote: {MODEL}" in said
    world.use(server, tmp_path.name)
    assert ascl(world, monkeypatch, "push") == (0, "the remote has everything"), "what only the remote has is not lost"
    assert ascl(world, monkeypatch, "pull", "--all") == (0, "6 files pulled")
    server.client().rm(f"{BUCKET}/{tmp_path.name}", recursive=True)
    assert ascl(world, monkeypatch, "push") == (0, "9 files pushed"), "a store that was lost as a whole"


def test_what_is_lost_here_comes_back_from_the_store_and_what_was_never_recorded_is_left_alone(world: StoreWorld, tmp_path: Path) -> None:
    written = world.write({"model.safetensors": MB})
    transfer.push(world.root)
    other = world.elsewhere(tmp_path / "two")
    outputs.fetch(other.root, ["data/models/big", "data/models/other"])
    assert other.read() == written


PROBLEMS = {
    "no credentials": ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, {}, "no credentials were found", "AWS_PROFILE"),
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "wr0ng/secret"}, {}, "does not belong to the access key", "AWS_SECRET_ACCESS_KEY"),
    "unknown key": ({"AWS_ACCESS_KEY_ID": "unkn0wn-id"}, {}, "does not know this access key", "AWS_ACCESS_KEY_ID"),
    "no bucket": ({}, {"url": "s3://no-such-bucket/x"}, "the bucket does not exist", "ascl remote set"),
    "nobody there": ({}, {"endpoint": None}, "the store does not answer", "start it"),
    "no profile": ({"AWS_PROFILE": "nobody"}, {}, "AWS_PROFILE does not exist", "unset AWS_PROFILE"),
}


@pytest.mark.parametrize(("variables", "changed", "problem", "hint"), PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.timeout(120)
def test_a_check_and_a_push_say_what_is_wrong_and_show_no_credentials(
    variables: dict[str, str | None],
    changed: dict[str, str | None],
    problem: str,
    hint: str,
    world: StoreWorld,
    server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world.write({"model.safetensors": 1000})
    for name, value in variables.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    values = {"url": f"s3://{BUCKET}/x", "endpoint": server.url, **changed}
    values["endpoint"] = values["endpoint"] or f"http://127.0.0.1:{free_ports(1)[0]}"
    remote = make_remote(str(values["url"]), values["endpoint"], "us-east-1")
    dvc_config.use_remote(world.root, remote)
    check = list(check_remote(remote))[-1]
    assert (check.level, problem in check.found, hint in check.hint) == ("error", True, True), check
    with pytest.raises(WorkspaceError, match="the push failed") as caught:
        transfer.push(world.root)
    assert problem in str(caught.value)
    secrets = {server.secret_key, "wr0ng/secret"}
    assert not [secret for secret in secrets if secret in f"{check}{caught.value}"]


def test_a_clock_that_is_wrong_is_said(world: StoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime

    import botocore.auth

    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=3)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))
    remote = read_remote(world.root)
    assert remote is not None
    assert "the clocks of this machine" in list(check_remote(remote))[-1].found


def test_a_store_that_is_well_passes_every_check_and_keeps_nothing_of_it(world: StoreWorld, server: S3Server, tmp_path: Path) -> None:
    remote = read_remote(world.root)
    assert remote is not None
    assert [(check.name, check.level) for check in check_remote(remote)] == [
        ("reach", "ok"),
        ("write", "ok"),
        ("read", "ok"),
        ("write once", "ok"),
        ("delete", "ok"),
    ]
    assert objects(server, tmp_path.name) == {}


def test_the_environment_names_the_remote_before_the_files_do(
    world: StoreWorld, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write({"model.safetensors": 1000})
    monkeypatch.setenv("ASCL_REMOTE", f"s3://{BUCKET}/{tmp_path.name}-other")
    monkeypatch.setenv("ASCL_REMOTE_ENDPOINT", server.url)
    transfer.push(world.root)
    assert objects(server, tmp_path.name) == {}
    assert len(objects(server, f"{tmp_path.name}-other")) == 3
    written = "".join(file.read_text() for file in (world.root / ".dvc").glob("config*"))
    assert server.secret_key not in written
    assert server.access_key not in written
