"""A real Prefect server with everything deployed, and real workers, as a person starts them; all of it is gone with the block."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.pipeline.workspace import Running, Workspace, marked_with, wait_until
from tests.services.s3_server import free_ports

FLOW_RUN = "PREFECT__FLOW_RUN_ID"
"""In the environment of every process of a flow run."""
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Deployed:
    """A workspace, the server that it is deployed to, and what a person would do with both."""

    workspace: Workspace
    url: str
    database: str | None = None
    """PostgreSQL, or SQLite."""
    auth: tuple[str, str] | None = None
    """The credentials that the API asks for."""
    _process: list[Running] = field(default_factory=list)

    def begin(self) -> None:
        """Start the server, and wait until it answers."""
        database = ["--database", self.database] if self.database else []
        port = self.url.removesuffix("/api").rpartition(":")[2]
        self._process[:] = [self.workspace.start("ascl", "server", "--port", port, *database)]
        wait_until(lambda: self.answers() or not self._process[0].goes_on, f"an answer of the server: {self._process[0].output}")
        assert self._process[0].goes_on, self._process[0].output

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End the server."""
        if by == signal.SIGTERM:
            self._process[0].stop()
        else:
            self._process[0].end(by)

    def answers(self) -> bool:
        """Whether the server does."""
        try:
            return httpx.get(f"{self.url}/ready", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def processes(self, run_id: str) -> list[psutil.Process]:
        """The processes of a flow run, those of its stages among them."""
        return marked_with(FLOW_RUN, run_id)

    def states(self, run_id: str) -> str:
        """What was said with each state of the run, oldest first."""
        return "\n".join(state["message"] or "" for state in self.ask("GET", f"/flow_run_states/?flow_run_id={run_id}"))

    def ask(self, method: str, path: str, values: Any = None, status: int | None = None) -> Any:
        """What the API answers; as Prefect's own clients do, asks again where SQLite was busy for too long."""
        answer = httpx.request(method, f"{self.url}{path}", json=values, timeout=120, auth=self.auth)
        while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            time.sleep(1.0)
            answer = httpx.request(method, f"{self.url}{path}", json=values, timeout=120, auth=self.auth)
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

    def wait(self, run_id: str, *kinds: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """The run once it is in one of these states, by type or by name; any end will do where none is given."""
        wanted = set(kinds) or ENDED
        deadline = time.monotonic() + within_s
        while True:
            run = self.read(run_id)
            if {run["state_type"], run["state_name"]} & wanted:
                return run
            if run["state_type"] in ENDED or time.monotonic() > deadline:
                pytest.fail(f"{run['state']}\n{self.logs(run_id)}")
            time.sleep(0.3)

    def wait_until_suspended(self, run_id: str) -> None:
        """Wait until the run is suspended, and the process that suspended itself has ended."""
        self.wait(run_id, "Suspended")
        wait_until(lambda: not self.processes(run_id), "the end of the process that suspended itself", 300)

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
def deployed(workspace: Workspace, *, database: str | None = None) -> Iterator[Deployed]:
    """The workspace, deployed to a server of its own; nothing is scheduled unless somebody asks."""
    with started(workspace, database=database) as server:
        assert "nothing is scheduled" in server.workspace.ascl("deploy")
        yield server


@contextmanager
def started(workspace: Workspace, *, database: str | None = None) -> Iterator[Deployed]:
    """`ascl server` on a free port, with nothing deployed."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}/api"
    server = Deployed(replace(workspace, api_url=url), url, database)
    server.begin()
    try:
        yield server
    finally:
        server.end()
