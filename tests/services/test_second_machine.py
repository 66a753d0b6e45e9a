"""A machine with nothing but the repository's URL and the remote completes a stage, and both stores are honoured in order."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ascl_core.errors import WorkspaceError
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.stages import DECISION, GATE
from tasks.repository import dvc_config, transfer
from tasks.repository.git import commit_of, git
from tasks.repository.params_file import write_params
from tasks.repository.remotes import make_remote
from tasks.runs import runs
from tests.pipeline.workspace import REPOSITORY, Workspace
from tests.services.other_machine import other_machine
from tests.services.s3_server import BUCKET, S3Server, s3_server

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]
CHANGED = "gate.min_safety_rate=0.111"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A server, with its credentials in the environment."""
    (tmp_path / "s3").mkdir()
    with s3_server(tmp_path / "s3") as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.fixture
def origin() -> Iterator[Path]:
    """A bare repository where every user of this machine can read it."""
    folder = Path(tempfile.mkdtemp(prefix="origin-", dir="/tmp"))
    folder.chmod(0o755)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(folder / "ascl.git"))
    yield folder / "ascl.git"
    shutil.rmtree(folder, ignore_errors=True)


def publish(first: Workspace, server: S3Server, origin: Path) -> None:
    """Machine one gives what it has to the stores: data to the remote, the commit to origin."""
    dvc_config.use_remote(first.root, make_remote(f"s3://{BUCKET}/ascl", server.url, "us-east-1"))
    transfer.push(first.root)
    first.run("git", "add", "--all")
    first.run("git", "commit", "--quiet", "-m", "a run")
    first.run("git", "remote", "add", "origin", str(origin))
    first.run("git", "push", "--quiet", "origin", "HEAD:refs/heads/main")


def test_another_user_in_an_empty_directory_completes_a_stage_with_the_same_result(
    finished: Workspace, server: S3Server, origin: Path
) -> None:
    publish(finished, server, origin)
    run = runs.open_run(finished.root, "here")
    write_params(run.worktree, None, [CHANGED])
    assert bring_up_to_date(GATE, root=run.worktree).action == "ran"
    expected = (run.worktree / DECISION).read_bytes()
    runs.finish_run(finished.root, run, {})
    runs.publish_run(finished.root, run)
    subprocess.run(["chown", "-R", "nobody:nogroup", str(origin)], check=True)  # git serves no repository of somebody else

    remote = {"ASCL_REMOTE": f"s3://{BUCKET}/ascl", "ASCL_REMOTE_ENDPOINT": server.url, "ASCL_REMOTE_REGION": "us-east-1"}
    credentials = {name: value for name, value in server.environment.items() if name != "AWS_ENDPOINT_URL"}
    variables = {**remote, **credentials, "PYTHONPATH": str(REPOSITORY)}
    with other_machine(finished.root, server.folder) as second:
        command = [sys.executable, "-m", "flows.cli", "work", origin.as_uri(), "gate", "--ref", "main", "--into", "clone"]
        said = second.run([*command, "--set", CHANGED], variables)
        clone = second.home / "clone"
        assert "gate ran in" in said
        assert (clone / DECISION).read_bytes() == expected
        assert (clone / ".dvc" / "cache" / "files").is_dir(), "its cache is its own"
        assert not (clone / "data" / "models" / "sft").exists(), "it fetches what the stage reads, and no more"
        kept = "".join(file.read_text() for file in (clone / ".dvc").glob("config*"))
        assert server.secret_key not in kept + said

        again = second.run([*command, "--set", CHANGED], variables)
        assert "gate reused in" in again


def test_a_run_is_published_data_first_and_nobody_sees_a_branch_without_its_data(
    finished: Workspace, server: S3Server, origin: Path
) -> None:
    publish(finished, server, origin)
    run = runs.open_run(finished.root, "there")
    write_params(run.worktree, None, [CHANGED])
    bring_up_to_date(GATE, root=run.worktree)
    with pytest.raises(WorkspaceError, match="has not ended"):
        runs.publish_run(finished.root, run)
    commit = runs.finish_run(finished.root, run, {})
    server.kill()
    with pytest.raises(WorkspaceError, match="does not answer"):
        runs.publish_run(finished.root, run)
    assert commit_of(origin, "runs/there") is None
    server.start()
    assert runs.publish_run(finished.root, run) == commit == commit_of(origin, "runs/there")
    assert runs.publish_run(finished.root, run) == commit

    clone = finished.root.parent / "clone"
    git(finished.root.parent, "clone", "--quiet", str(origin), str(clone))
    dvc_config.use_remote(clone, make_remote(f"s3://{BUCKET}/ascl", server.url, "us-east-1"))
    assert runs.ended_runs(clone) == ["there"]
    assert runs.read_run(clone, "there")["commit"] == commit
    other = runs.open_run(clone, "from-there", ref="runs/there")
    assert other.base == commit
    assert bring_up_to_date(GATE, root=other.worktree).action in ("reused", "restored")
    assert (other.worktree / DECISION).read_bytes() == (run.worktree / DECISION).read_bytes()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in (other.worktree / ".dvc" / "config.local").read_text()
