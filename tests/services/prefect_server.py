"""A real Prefect server with everything deployed, and real workers, for tests; all of it is gone with the block."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.local_server import local_server
from tests.pipeline.workspace import Running, Workspace

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Deployed:
    """A workspace, the server that it is deployed to, and what a person would do with both."""

    workspace: Workspace
    url: str

    def ask(self, method: str, path: str, values: Any = None, status: int | None = None) -> Any:
        """What the API answers; as Prefect's own clients do, asks again where SQLite was busy for too long."""
        answer = httpx.request(method, f"{self.url}{path}", json=values, timeout=120)
        while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            time.sleep(1.0)
            answer = httpx.request(method, f"{self.url}{path}", json=values, timeout=120)
        if status is None:
            answer.raise_for_status()
        else:
            assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def start(self, deployment: str, form: Mapping[str, Any] | None = None) -> str:
        """Start a run of a deployment, as the UI does; its id."""
        found = self.ask("GET", f"/deployments/name/{deployment}")
        parameters = {} if form is None else {"form": dict(form)}
        return str(
            self.ask("POST", f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters, "state": {"type": "SCHEDULED"}})[
                "id"
            ]
        )

    def read(self, run_id: str) -> dict[str, Any]:
        """The flow run as it is now."""
        return dict(self.ask("GET", f"/flow_runs/{run_id}"))

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """All runs of a flow, oldest first."""
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
        return list(self.ask("POST", "/flow_runs/filter", asked))

    def wait(self, run_id: str, *kinds: str) -> dict[str, Any]:
        """The run once it is in one of these states, by type or by name; any end will do where none is given."""
        wanted = set(kinds) or ENDED
        deadline = time.monotonic() + PATIENCE_S
        while True:
            run = self.read(run_id)
            if {run["state_type"], run["state_name"]} & wanted:
                return run
            if run["state_type"] in ENDED or time.monotonic() > deadline:
                pytest.fail(f"{run['state']}\n{self.logs(run_id)}")
            time.sleep(0.3)

    def logs(self, run_id: str) -> str:
        """What the run and its tasks said."""
        lines = self.ask("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200})
        return "\n".join(line["message"] for line in lines)

    def artifacts(self, run_id: str) -> dict[str, str]:
        """The Markdown pages of a run by their keys."""
        found = self.ask("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["markdown"]}}})
        return {one["key"]: one["data"] for one in found}

    @contextmanager
    def worker(self, pool: str = "cpu", *options: str, trainer_key: Path | None = None) -> Iterator[Running]:
        """A worker of that pool, which signs releases where it is given the trainer's key."""
        key = ["env", f"ASCL_TRAINER_KEY={trainer_key}"] if trainer_key else []
        with self.workspace.running(*key, "ascl", "worker", "--pool", pool, "--query-seconds", "0.5", *options) as running:
            yield running


@contextmanager
def deployed(workspace: Workspace, home: Path) -> Iterator[Deployed]:
    """The workspace, deployed to a server of its own whose schedules are off."""
    with local_server(home) as url:
        there = Workspace(workspace.root, url)
        there.ascl("deploy")
        server = Deployed(there, url)
        watcher = server.ask("GET", "/deployments/name/watch-rules/watch-rules")
        server.ask("PATCH", f"/deployments/{watcher['id']}", {"paused": True})
        yield server
