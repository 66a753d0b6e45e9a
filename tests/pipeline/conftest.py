"""Workspaces for the tests of the pipeline; the finished one is made once for all workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.execution.local_server import local_server
from tests.once import make_once
from tests.pipeline.workspace import Workspace, make_workspace


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace after `ascl run`, to be copied and not to be changed."""

    def make(folder: Path) -> None:
        make_workspace(folder / "made").ascl("run")

    return Workspace(make_once(tmp_path_factory, "finished", make) / "made")


@pytest.fixture(scope="session")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server for all runs of the tests: to start one takes longer than what most of them look at."""
    with local_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def finished(_finished: Workspace, api_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace after `ascl run`; the test runs in it."""
    workspace = _finished.copy(tmp_path / "finished", api_url)
    monkeypatch.chdir(workspace.root)
    return workspace


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("fresh") / "made")


@pytest.fixture
def fresh(_fresh: Workspace, api_url: str, tmp_path: Path) -> Workspace:
    """A workspace in which nothing has run."""
    return _fresh.copy(tmp_path / "fresh", api_url)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tutorial be the first: it takes longest, and the other workers would wait for one that begins it at the end."""
    items.sort(key=lambda item: "test_tutorial" not in item.nodeid)
