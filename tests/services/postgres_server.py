"""A real PostgreSQL for tests: a throwaway cluster on a free port of the loopback, gone with the block."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.s3_server import free_ports

DATABASE, USER = "prefect", "app"
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class PostgresServer:
    """A running cluster with one empty database."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """What a Prefect server takes as its database."""
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def ask(self, query: str) -> str:
        """What psql prints for a query, values alone."""
        return _run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", DATABASE, "-At", "-c", query)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._control("start", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, how: str = "fast") -> None:
        """Stop it and whatever it has started; `immediate` is as if it had crashed."""
        self._control("stop", "-m", how)

    def restart(self) -> None:
        """Stop it, which ends every connection, and start it on the same files and port."""
        self.stop()
        self.start()

    def _control(self, *command: str) -> None:
        _run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-t", "60", *command)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Yield a cluster in a folder of its own, owned by `nobody` where the tests run as root, whom PostgreSQL refuses."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        server = PostgresServer(folder, free_ports(1)[0])
        _run("initdb", "-D", str(folder / "data"), "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        server.start()
        try:
            _run("createdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", USER, DATABASE)
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: str) -> str:
    """What the program prints, run as `nobody` by root; its output goes to a file, as a server that it starts would hold a pipe open."""
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile() as output:
        command = [*as_nobody, _found(program), *arguments]
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, timeout=120)
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    assert done.returncode == 0, f"{program}: {said}"
    return said


def _found(program: str) -> str:
    """The program of the newest PostgreSQL: Debian keeps most of them off the path."""
    programs = sorted(_DEBIAN.glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]), reverse=True)
    found = str(programs[0]) if programs else shutil.which(program)
    assert found, f"{program} is not installed: apt-get install postgresql"
    return found
