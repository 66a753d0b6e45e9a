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
from dataclasses import dataclass
from pathlib import Path

import s3fs

from tasks.supervisor import end_with_parent

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


@dataclass(frozen=True)
class S3Server:
    """A running server, and what a client needs to reach it."""

    url: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every AWS client reads; nothing of this machine's own configuration counts beside them."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Yield a server with one empty bucket; whoever has no credentials gets 403."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    server = S3Server(f"http://127.0.0.1:{ports['s3']}", "test-access-key", "test-secret-key")
    options = [f"-{name if '.' in name else f'{name}.port'}={port}" for name, port in ports.items()]
    command = [str(Path(sys.executable).with_name("weed")), "-logtostderr", "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    log = folder / "weed.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, *options, *_OFF, f"-bucket={BUCKET}"],
            env={**os.environ, **server.environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid(), signal.SIGKILL),
        )
    try:
        _wait_until_ready(process, server.url, log)
        _wait_for_bucket(server)
        yield server
    finally:
        process.kill()  # it keeps nothing that is worth its slow way of ending
        process.wait()


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
    client = s3fs.S3FileSystem(
        key=server.access_key, secret=server.secret_key, endpoint_url=server.url, skip_instance_cache=True, use_listings_cache=False
    )
    deadline = time.monotonic() + _START_S
    while BUCKET not in client.ls(""):
        assert time.monotonic() < deadline, "the bucket was not made"
        time.sleep(0.1)
