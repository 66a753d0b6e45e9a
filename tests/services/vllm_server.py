"""A real server of vLLM's on a free port, on the CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tasks.execution.supervisor import end_with_parent
from tests.services.s3_server import free_ports

_START_S = 500.0
_ON_CPU = ("--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill")
"""A prompt that is read in parts rewinds its request's random numbers, which vLLM cannot do on a CPU."""


@dataclass(frozen=True)
class VllmServer:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it and its engine at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def vllm_server(checkpoint: Path, *options: str) -> Iterator[VllmServer]:
    """Yield a server that is ready, with log-probabilities of what is drawn from."""
    [port] = free_ports(1)
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    settings |= {"TORCH_COMPILE_DISABLE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}  # a compiler takes minutes; a core may be busy
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint), "--port", str(port), *_ON_CPU]
    command += ["--host", "127.0.0.1", "--logprobs-mode", "processed_logprobs", *options]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid(), signal.SIGKILL),
        )
        server = VllmServer(f"http://127.0.0.1:{port}/v1", process)
        try:
            if not _becomes_ready(server):
                log.seek(0)
                raise AssertionError(f"vLLM did not start: {log.read().decode(errors='replace')[-3000:]}")
            yield server
        finally:
            if process.poll() is None:
                server.kill()


def _becomes_ready(server: VllmServer) -> bool:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if httpx.get(f"{server.url.removesuffix('/v1')}/health", trust_env=False).is_success:
                return True
        except httpx.TransportError:
            time.sleep(0.2)
    return False
