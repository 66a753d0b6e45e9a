"""The official commands of Prefect and DVC work in a clone as their own documentation says: no variable of ours, no active environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.pipeline.conftest import _fresh  # noqa: F401
from tests.pipeline.workspace import Workspace
from tests.services.prefect_server import started

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]
BIN = Path(sys.executable).parent


@pytest.fixture
def clone(_fresh: Workspace, tmp_path: Path) -> Workspace:  # noqa: F811
    """A workspace with its environment in .venv, as make setup leaves it."""
    workspace = _fresh.copy(tmp_path / "clone")
    (workspace.root / ".venv").symlink_to(BIN.parent)
    return workspace


def plain(workspace: Workspace, **more: str) -> tuple[str, ...]:
    """The beginning of a command in a shell in which nothing is set; the code is that of the workspace, as an editable install says."""
    settings = {"HOME": str(workspace.root.parent), "PATH": "/usr/bin:/bin", "PWD": str(workspace.root), "PYTHONPATH": str(workspace.root)}
    identity = {name: value for name, value in workspace.environment.items() if name.startswith(("GIT_", "OMP_"))}
    return "env", "-i", *(f"{name}={value}" for name, value in {**settings, **identity, **more}.items())


def test_prefect_deploys_works_and_runs_a_deployment(clone: Workspace) -> None:
    with started(clone) as server:
        prefect = (*plain(clone, PREFECT_API_URL=server.url), ".venv/bin/prefect")
        clone.run(*prefect, "work-pool", "create", "cpu", "--type", "process")
        clone.run(*prefect, "deploy", "--all")
        with clone.running(*prefect, "worker", "start", "--pool", "cpu") as worker:
            clone.run(*prefect, "deployment", "run", "watch-rules/watch-rules", "--watch")
        [run] = server.runs("watch-rules")
        assert run["state_name"] == "No change", worker.output


def test_dvc_repro_finds_the_environment_of_the_clone(clone: Workspace) -> None:
    assert "validate_rules: " in clone.run(*plain(clone), ".venv/bin/dvc", "repro", "validate_rules")
    (clone.root / ".venv").unlink()
    nowhere = os.pathsep.join(["/usr/bin", "/bin"])
    said = clone.run("env", "-i", f"PATH={nowhere}", "sh", "tasks/stage.sh", "validate_rules", status=1)
    assert "hint: make setup" in said
