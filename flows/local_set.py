"""A server, a worker and the deployments of this repository on one machine: what `ascl server`, `ascl worker` and `ascl deploy` start.

The server writes its address to `.ascl/server.json`, where the other commands of this repository find it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from ascl_core.artifacts import read_json, write_json
from ascl_core.errors import WorkspaceError
from ascl_core.urls import is_loopback
from tasks.execution.local_server import APP, SERVER_AUTH, check_answers, use_server_credentials
from tasks.host.environment import HEARTBEAT, TELEMETRY_OFF

PORT = 4200
_ADDRESS = Path(".ascl") / "server.json"


def serve(root: Path, *, host: str, port: int, database: str | None) -> NoReturn:
    """Become the server; it ends cleanly on SIGTERM and Ctrl-C."""
    home = root / ".ascl" / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    _require_free(host, port)
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/api"
    write_json(root / _ADDRESS, {"url": url, "pid": os.getpid()})
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,
        "PREFECT_API_DATABASE_CONNECTION_URL": database or f"sqlite+aiosqlite:///{home / 'server.db'}",
        "PREFECT_SERVER_MEMO_STORE_PATH": str(home / "memo_store.toml"),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
    }
    options = ["--factory", APP, "--host", host, "--port", str(port), "--log-level", "warning", "--timeout-graceful-shutdown", "5"]
    _become(["-m", "uvicorn", *options], {**TELEMETRY_OFF, **settings})


def work(root: Path, *, pool: str, name: str | None, limit: int | None, query_s: float) -> NoReturn:
    """Become a worker of the pool; its flow runs use the code of this repository."""
    settings = {
        **HEARTBEAT,
        **TELEMETRY_OFF,
        "PREFECT_API_URL": api_url(root),
        "PREFECT_HOME": str(root / ".ascl" / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": str(query_s),
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_CLI_PROMPT": "false",
        "ASCL_ROOT": str(root),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }
    options = [*(["--name", name] if name else []), *(["--limit", str(limit)] if limit else [])]
    _become(["-m", "prefect", "worker", "start", "--pool", pool, "--type", "process", *options], settings)


def api_url(root: Path) -> str:
    """The server that `PREFECT_API_URL` names, else that of `ascl server`; `WorkspaceError` where none answers, or it refuses.

    Where the server's credentials are in the environment, clients use them.
    """
    use_server_credentials()
    given = os.environ.get("PREFECT_API_URL")
    if given is None and not (root / _ADDRESS).exists():
        raise WorkspaceError("no Prefect server is known", field="PREFECT_API_URL", hint="ascl server in another terminal, or set it")
    url = given or str(read_json(root / _ADDRESS)["url"])
    check_answers(url, "start it: ascl server")
    return url


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise WorkspaceError(
                f"cannot listen: {error.strerror}", field="--port", value=f"{host}:{port}", hint="give another --port"
            ) from error


def is_open_to_others(host: str) -> bool:
    """Whether a server there can be reached from other machines and asks for no credentials."""
    return not is_loopback(host) and not os.environ.get(SERVER_AUTH)


def _become(arguments: Sequence[str], settings: Mapping[str, str]) -> NoReturn:
    """Replace this process; signals that a shell had it ignore count again."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):
            signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, **settings})
