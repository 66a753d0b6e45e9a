"""A real `ascl_core.serving` process on a free port, and requests to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tasks.execution.supervisor import end_with_parent
from tests.services.s3_server import free_ports

REPOSITORY = Path(__file__).parents[2]
_START_S = 300.0


@dataclass(frozen=True)
class ModelServer:
    """A running server."""

    url: str
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    headers: dict[str, str]

    def client(self, **headers: str) -> httpx.Client:
        """A client with the server's token, if it has one."""
        return httpx.Client(base_url=self.url, headers={**self.headers, **headers}, timeout=300, trust_env=False)

    def body(self, question: str, **changes: Any) -> dict[str, Any]:
        """A greedy request."""
        return {"model": self.name, "messages": [{"role": "user", "content": question}], "temperature": 0, **changes}

    def ask(self, question: str, **changes: Any) -> httpx.Response:
        """The response to a question."""
        with self.client() as client:
            return client.post("/v1/chat/completions", json=self.body(question, **changes))

    def stream(self, question: str, **changes: Any) -> list[dict[str, Any]]:
        """The chunks of an answer; fails unless they end as they must."""
        with (
            self.client() as client,
            client.stream("POST", "/v1/chat/completions", json=self.body(question, stream=True, **changes)) as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream"), response.read()
            lines = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
        assert lines.pop() == "[DONE]"
        return [json.loads(line) for line in lines]

    def rules(self) -> dict[str, Any]:
        """What is served now."""
        with self.client() as client:
            return dict(client.get("/v1/rules").raise_for_status().json())

    def swap(self, corpus: Any, **headers: str) -> httpx.Response:
        """The response to a swap."""
        with self.client(**headers) as client:
            return client.put("/v1/rules", json=corpus)

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Send it the signal; its exit status."""
        self.process.send_signal(by)
        return self.process.wait(200)


@contextmanager
def model_server(
    checkpoint: Path, corpus: Path, *options: str, tokens: dict[str, str] | None = None, wait: bool = True
) -> Iterator[ModelServer]:
    """Yield a server that is ready, unless nobody is to wait for that."""
    [port] = free_ports(1)
    folder = tempfile.TemporaryDirectory(prefix="ascl-serve-")
    log = Path(folder.name) / "serve.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASCL_SERVE")}
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ascl_core.serving", str(checkpoint), str(corpus), "--port", str(port), *options],
            env={**environment, "PYTHONPATH": str(REPOSITORY), **(tokens or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid(), signal.SIGKILL),
        )
    token = (tokens or {}).get("ASCL_SERVE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    server = ModelServer(f"http://127.0.0.1:{port}", checkpoint.name, process, log, headers)
    try:
        if wait:
            _wait_until_ready(server)
        yield server
    finally:
        process.kill()
        process.wait()
        folder.cleanup()


def statuses(responses: Sequence[httpx.Response]) -> list[int]:
    """Their status codes."""
    return [response.status_code for response in responses]


def _wait_until_ready(server: ModelServer) -> None:
    deadline = time.monotonic() + _START_S
    seen = set()
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            response = httpx.get(f"{server.url}/health", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
            continue
        seen.add((response.status_code, response.json()["status"]))
        assert seen <= {(503, "loading"), (200, "ready")}
        if response.status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {server.log.read_text(errors='replace')[-2000:]}")
