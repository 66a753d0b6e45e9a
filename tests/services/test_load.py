"""Two hundred evaluations wait in the queue of two workers: none is lost, none is done twice, and nothing is left lying about."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.registry.paths import RUNS
from tasks.repository.git import git
from tasks.runs import runs
from tests.pipeline.conftest import _finished  # noqa: F401
from tests.pipeline.workspace import Workspace, marked_with, wait_until
from tests.services.postgres_server import postgres_server
from tests.services.prefect_server import ENDED, FLOW_RUN, Deployed, deployed

QUEUED = 200
AT_A_TIME = "2"
"""Flow runs of one worker at a time."""
_PATIENCE_S = 3 * 3600.0
pytestmark = [pytest.mark.services, pytest.mark.timeout(_PATIENCE_S + 1200)]


@pytest.fixture
def server(_finished: Workspace, tmp_path: Path) -> Iterator[Deployed]:  # noqa: F811
    """A finished workspace, deployed to a server on PostgreSQL: SQLite is for one machine and few runs."""
    with postgres_server() as database, deployed(_finished.copy(tmp_path / "workspace"), database=database.url) as server:
        yield server


def test_of_two_hundred_queued_evaluations_on_two_workers_none_is_lost_and_none_done_twice(server: Deployed) -> None:
    root = server.workspace.root
    status = git(root, "status", "--porcelain")
    started = [server.start("evaluate/evaluate", {"checkpoints": ["data/models/ifpo"]}) for _ in range(QUEUED)]
    workers = [("--name", name, "--limit", AT_A_TIME) for name in ("one", "two")]
    with server.worker("cpu", *workers[0]) as one, server.worker("cpu", *workers[1]) as two:
        wait_until(lambda: ended(server) >= QUEUED, "the end of all of them", _PATIENCE_S)
        said = [one.output, two.output]
    found = {run["id"]: run for run in server.runs("evaluate")}
    assert set(found) == set(started)
    states = Counter(run["state_type"] for run in found.values())
    assert states == {"COMPLETED": QUEUED}, next(server.logs(id_) for id_, run in found.items() if run["state_type"] != "COMPLETED")
    assert {run["run_count"] for run in found.values()} == {1}, "none was done twice"
    taken = [output.count(" submitted to infrastructure") for output in said]
    assert all(taken), "both workers took part"
    assert sum(taken) == QUEUED, "where both wanted a run, the server refused one"

    own = [one for one in runs.ended_runs(root) if "evaluate" in one]
    assert len(own) == QUEUED
    summaries = [runs.read_run(root, one) for one in own]
    assert {summary["flow_run"] for summary in summaries} == set(started), "each ended as one commit of its own"
    assert len({json.dumps(summary["evaluations"][0]["headline"], sort_keys=True) for summary in summaries}) == 1
    assert len(list((root / RUNS).glob("*/"))) <= runs.KEPT + 2 * int(AT_A_TIME), "the worktrees of ended runs were collected"
    assert not marked_with(FLOW_RUN, "")
    assert git(root, "status", "--porcelain") == status, "nothing was done in the repository's own working tree"


def ended(server: Deployed) -> int:
    """How many of the runs have ended."""
    asked = {"flows": {"name": {"any_": ["evaluate"]}}, "flow_runs": {"state": {"type": {"any_": sorted(ENDED)}}}}
    return int(server.ask("POST", "/flow_runs/count", asked))
