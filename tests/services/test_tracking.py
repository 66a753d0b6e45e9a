"""A run is reported to a real MLflow server, and goes on without it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tasks.host.tracker import VARIABLE
from tests.services.s3_server import free_ports
from tests.unit.test_tracking import check_mlflow, report, root

__all__ = ["root"]
pytestmark = pytest.mark.services
_STARTS_S = 300.0


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An MLflow server on a free port of the loopback, which the environment names."""
    pytest.importorskip("mlflow", reason="the tracker mlflow is not installed: uv pip install mlflow")
    folder, [port] = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    url, found = f"http://127.0.0.1:{port}", shutil.which("mlflow")
    program = [found] if found else [sys.executable, "-m", "mlflow"]
    command = [*program, "server", "--port", str(port), "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    monkeypatch.setenv(VARIABLE, "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    try:
        _wait(url, process, folder / "log")
        yield url, process
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the server and the workers that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health").status_code == 200:
                return
        time.sleep(1)
    pytest.fail(f"MLflow did not start: {log.read_text()[-2000:]}")


def test_a_server_of_mlflow_has_the_curves_the_evaluation_and_the_gate(server: tuple[str, object], root: Path) -> None:
    assert report(root) == []
    check_mlflow(server[0])


def test_a_server_that_does_not_answer_is_one_warning(server: tuple[str, subprocess.Popen[bytes]], root: Path) -> None:
    _kill(server[1])
    started = time.monotonic()
    [warning] = report(root)
    assert "the rest of this run is not tracked" in warning
    assert time.monotonic() - started < 70
