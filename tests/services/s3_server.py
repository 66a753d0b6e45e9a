"""A real S3 server for tests: SeaweedFS from its wheel, on free ports of the loopback, gone with the block."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import s3fs

from tasks.execution.supervisor import end_with_parent

BUCKET = "prompts"
_START_S = 30.0
_PORTS = ("s3", "s3.port.grpc", "master", "master.port.grpc", "volume", "volume.port.grpc", "filer", "filer.port.grpc", "admin")
_OFF = (
    "-webdav=false",
    "-admin.ui=false",
    "-master.telemetry=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
)


@dataclass
class S3Server:
    """A server on a folder, and what a client needs to reach it."""

    folder: Path
    ports: dict[str, int]
    access_key: str = "test-access-key"
    secret_key: str = "test-secret-key"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every AWS client reads; nothing of this machine's own configuration counts beside them."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": f"{self.folder}/no-config",  # DVC takes a missing file for an empty one, and no device
            "AWS_SHARED_CREDENTIALS_FILE": f"{self.folder}/no-credentials",
        }

    def start(self) -> None:
        """Start it on what is in its folder, and wait until it answers."""
        options = [f"-{name if '.' in name else f'{name}.port'}={port}" for name, port in self.ports.items()]
        weed = str(Path(sys.executable).with_name("weed"))
        command = [weed, "-logtostderr", "mini", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        log = self.folder / "weed.log"
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [*command, *options, *_OFF, f"-bucket={BUCKET}"],
                env={**os.environ, **self.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=end_with_parent(os.getpid(), signal.SIGKILL),
            )
        _wait_until_ready(self.process, self.url, log)
        _wait_for_bucket(self)

    def kill(self) -> None:
        """End it at once, whatever it does: what it has acknowledged is on its disk."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def client(self) -> s3fs.S3FileSystem:
        """A client that has seen nothing before."""
        return s3fs.S3FileSystem(
            key=self.access_key, secret=self.secret_key, endpoint_url=self.url, skip_instance_cache=True, use_listings_cache=False
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Yield a server with one empty bucket; whoever has no credentials gets 403."""
    server = S3Server(folder, dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)))
    try:
        server.start()
        yield server
    finally:
        server.kill()  # it keeps nothing that is worth its slow way of ending


def free_ports(number: int) -> list[int]:
    """Ports of the loopback on which nothing listens, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until our own process refuses who shows no credentials: one that lets everybody in would prove nothing."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                raise AssertionError(f"the server is open to all: it answers {answer.status}")
        except urllib.error.HTTPError as refusal:
            refusal.close()
            if refusal.code == 403:
                return
            raise
        except OSError:
            time.sleep(0.1)
    last = log.read_text(errors="replace").splitlines()[-3:]
    with suppress(ProcessLookupError):
        process.kill()
    raise AssertionError(f"the S3 server did not start: {last}")


def _wait_for_bucket(server: S3Server) -> None:
    """The server makes its bucket a moment after it answers."""
    client = server.client()
    deadline = time.monotonic() + _START_S
    while BUCKET not in client.ls(""):
        assert time.monotonic() < deadline, "the bucket was not made"
        time.sleep(0.1)
