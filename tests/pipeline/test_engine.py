"""The engine of a stage: two Dask workers through Prefect write what one process writes, and nothing of them outlives the stage."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ascl_core.artifacts import digest, read_json, read_yaml, write_json, write_text
from tasks.registry.stages import CURATE, CURATION_COUNTS, PROMPTS
from tests.once import make_once
from tests.pipeline.workspace import Running, Workspace, remove, wait_until

pytestmark = pytest.mark.long
ROWS = 50_000
"""Of three shards."""
STAGE = (sys.executable, "-m", "tasks", "curate")


@dataclass(frozen=True)
class Alone:
    """What one process made."""

    workspace: Workspace
    many: Path
    """A source of more rows than one shard has, a tenth of them copies."""
    digests: tuple[str, ...]


@pytest.fixture(scope="session")
def alone(_fresh: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """A workspace in which only curation is left to be done, and what it gives in one process."""

    def make(folder: Path) -> None:
        with (folder / "rows.jsonl").open("w") as file:
            for i in range(ROWS):
                text = f"What is number {i % (ROWS * 9 // 10)} of the long list about?"
                file.write(json.dumps({"prompt": text, "prompt_type": "borderline", "category": "CYB"}) + "\n")
        workspace = _fresh.copy(folder / "made")
        use(workspace, folder / "rows.jsonl", name="local")
        for stage in ("validate_rules", "build_suites"):
            workspace.run(sys.executable, "-m", "tasks", stage)
        write_json(folder / "digests.json", curated(workspace))
        forget(workspace)

    folder = make_once(tmp_path_factory, "curation", make)
    return Alone(Workspace(folder / "made"), folder / "rows.jsonl", tuple(read_json(folder / "digests.json")))


def use(workspace: Workspace, many: Path, **engine: Any) -> None:
    """Write the source and the engine into `params.yaml`."""
    params = read_yaml(workspace.root / "params.yaml")
    params["curate"]["sources"] = [{"name": "own"}, {"name": "many", "format": "rows", "path": str(many), "licence": "MIT"}]
    params["curate"]["near_duplicate_similarity"] = 1.0
    params["engine"] = engine
    write_text(workspace.root / "params.yaml", yaml.safe_dump(params, sort_keys=False))
    workspace.ascl("stages", "write")


def curated(workspace: Workspace) -> tuple[str, ...]:
    """Run the stage anew; the digests of what it wrote."""
    forget(workspace)
    workspace.run(*STAGE)
    return tuple(digest(workspace.root / artifact.path) for artifact in (PROMPTS, CURATION_COUNTS))


def forget(workspace: Workspace) -> None:
    """Remove what the stage has written."""
    for artifact in (*CURATE.outputs.values(), CURATE.record):
        remove(workspace.root / artifact.path)


@pytest.fixture
def ready(alone: Alone, api_url: str, tmp_path: Path) -> Workspace:
    """A workspace in which only curation is left to be done."""
    return alone.workspace.copy(tmp_path / "ready", api_url)


def task_runs(workspace: Workspace) -> list[str]:
    """The states of the tasks of flow runs on Dask."""
    query = {"flows": {"name": {"any_": ["prepare on Dask"]}}, "limit": 50}
    return [run["state_type"] for run in httpx.post(f"{workspace.api_url}/task_runs/filter", json=query, timeout=30).json()]


def test_two_dask_workers_write_the_bytes_that_one_process_writes(ready: Workspace, alone: Alone) -> None:
    before = len(task_runs(ready))
    use(ready, alone.many, name="dask", workers=2)
    assert curated(ready) == alone.digests
    assert task_runs(ready)[before:] == ["COMPLETED"] * 3
    assert not ready.processes()


def test_the_workers_of_a_cluster_that_runs_already_do_the_same(ready: Workspace, alone: Alone, tmp_path: Path) -> None:
    with cluster(ready, tmp_path) as (address, workers):
        use(ready, alone.many, name="dask", address=address)
        assert curated(ready) == alone.digests
        assert [worker.goes_on for worker in workers] == [True, True]
    forget(ready)
    said = ready.run(*STAGE, status=None)
    assert "no Dask scheduler answers" in said
    assert f"engine.address: {address}" in ready.ascl("run", status=None).replace("\n", " ")


@contextmanager
def cluster(workspace: Workspace, folder: Path) -> Iterator[tuple[str, list[Running]]]:
    """A Dask scheduler and two workers, each a process of its own."""
    found = folder / "scheduler.json"
    options = ("--scheduler-file", str(found))
    with workspace.running("dask", "scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1", *options):
        wait_until(found.exists, "the start of the scheduler")
        command = ("dask", "worker", "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder), *options)
        with workspace.running(*command) as one, workspace.running(*command) as other:
            wait_until(lambda: all("Registered to" in worker.output for worker in (one, other)), "the start of the workers")
            yield json.loads(found.read_text())["address"], [one, other]


def test_a_killed_stage_leaves_no_worker_and_the_next_run_writes_the_same(ready: Workspace, alone: Alone) -> None:
    use(ready, alone.many, name="dask", workers=2)
    without_server = replace(ready, api_url=None)  # as `dvc repro`: the stage starts one of its own
    running = without_server.start(*STAGE)
    wait_until(lambda: list(ready.scratch(CURATE).glob("*/state/shards/prepared/*.parquet")) or not running.goes_on, "a prepared shard")
    running.end(signal.SIGKILL)
    wait_until(lambda: not ready.processes(), "the end of every process of the stage", 30)
    assert not (ready.root / PROMPTS.path).exists()
    without_server.run(*STAGE)
    assert not ready.processes()
    assert tuple(digest(ready.root / artifact.path) for artifact in (PROMPTS, CURATION_COUNTS)) == alone.digests
