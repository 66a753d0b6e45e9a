"""A Prefect server for one run: on a free port, with SQLite under `.ascl/prefect`, stopped at the end of the run."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ascl_core.errors import ConfigError, WorkspaceError
from ascl_core.proxies import check_proxies
from ascl_core.urls import is_address, is_this_machine
from tasks.execution.supervisor import end_with_parent
from tasks.registry.paths import PREFECT_HOME

APP = "tasks.execution.server_app:create_app"
SERVER_AUTH, CLIENT_AUTH = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"
"""The credentials that a server requires and that its clients send: `USER:PASSWORD`, the same on both sides."""
_EXAMPLE = "http://127.0.0.1:4200/api"
_CLOUD = "/accounts/"
"""In the URL of a workspace of Prefect Cloud, which states no version."""
_START_S = 120.0
_STOP_S = 5.0
_DELIVER_S = 5.0
_ANSWER_S = 10.0
_REFUSALS = (401, 403)
_SERVER_ERROR = 500


@contextmanager
def prefect_server(root: Path) -> Iterator[str]:
    """Yield the URL of the API to use: the one in `PREFECT_API_URL`, or that of a local server that ends with the block.

    The local server also ends when this process is killed.
    """
    use_server_credentials()
    check_proxies()
    if given := os.environ.get("PREFECT_API_URL"):
        check_answers(given)
        yield given
        return
    with local_server(root / PREFECT_HOME) as url:
        os.environ["PREFECT_API_URL"] = url
        try:
            yield url
        finally:
            _deliver()
            del os.environ["PREFECT_API_URL"]


@contextmanager
def local_server(home: Path, database: str | None = None) -> Iterator[str]:
    """Yield the URL of the API of a server that keeps its files under `home` and ends with the block.

    Its state is in SQLite there, or in `database`, such as `postgresql+asyncpg://user@host/name`.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    log = home / "server.log"
    with open(log, "wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--factory", APP, "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"],
            env={**os.environ, **_settings(home, port, database)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid(), signal.SIGKILL),
        )
    try:
        _wait_until_ready(server, f"http://127.0.0.1:{port}/api/ready", log)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        _stop(server)


def _settings(home: Path, port: int, database: str | None) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": database or f"sqlite+aiosqlite:///{home / 'server.db'}",
        "PREFECT_SERVER_MEMO_STORE_PATH": str(home / "memo_store.toml"),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "0",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
    raise WorkspaceError("the local Prefect server did not start", value=last[0], hint=f"read {log}, or set PREFECT_API_URL to a server")


def use_server_credentials() -> None:
    """Let clients send the server's credentials if the environment has only those; `ConfigError` if Prefect cannot compare them."""
    if SERVER_AUTH in os.environ:
        os.environ.setdefault(CLIENT_AUTH, os.environ[SERVER_AUTH])
    for name in (SERVER_AUTH, CLIENT_AUTH):
        if not os.environ.get(name, "").isascii():
            problem = (
                "has a character that is not ASCII, which Prefect's server cannot compare: it would answer every request with an error"
            )
            raise ConfigError(problem, field=name, hint="choose a password of ASCII characters, on both sides")


def check_answers(url: str, hint: str = "start that server, or unset PREFECT_API_URL: a local one is started for the run") -> None:
    """Raise `WorkspaceError` unless a Prefect API answers and accepts the credentials of the environment."""
    if not is_address(url):
        raise WorkspaceError("not an http(s) address without credentials", field="PREFECT_API_URL", value=url, hint=f"such as {_EXAMPLE}")
    check_proxies()
    directly = is_this_machine(urlsplit(url).hostname or "")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if directly else []))
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/admin/version", headers=_authorization())
        with opener.open(request, timeout=_ANSWER_S) as answer:
            if answer.headers.get_content_type() != "application/json" or not isinstance(json.load(answer), str):
                raise _not_an_api(url)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _REFUSALS:
            problem = "refuses these credentials" if os.environ.get(CLIENT_AUTH) else "asks for credentials, and there are none"
            hint = f"export {CLIENT_AUTH}=USER:PASSWORD, the value of {SERVER_AUTH} with which the server was started"
            raise WorkspaceError(f"the Prefect server {problem}", file=url, field=CLIENT_AUTH, hint=hint) from None
        if error.code >= _SERVER_ERROR:
            raise WorkspaceError(f"the Prefect server fails: {error}", field="PREFECT_API_URL", value=url, hint="read its log") from None
        if _CLOUD not in url:
            raise _not_an_api(url) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise WorkspaceError(
            f"no Prefect server answers: {' '.join(str(error).split()) or type(error).__name__}",
            field="PREFECT_API_URL",
            value=url,
            hint=hint,
        ) from error


def _not_an_api(url: str) -> WorkspaceError:
    hint = "unset PREFECT_API_URL, or give the URL that ends in /api"
    if "/api" not in url:
        hint = f"export PREFECT_API_URL={url.rstrip('/')}/api"
    return WorkspaceError("a server answers, but no Prefect API: its URL ends in /api", field="PREFECT_API_URL", value=url, hint=hint)


def _authorization() -> dict[str, str]:
    """Return the header that Prefect's own clients would send."""
    if credentials := os.environ.get(CLIENT_AUTH):
        return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _deliver() -> None:
    """Let Prefect's background workers send what they hold: they outlive the block, and would keep trying to reach its server."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=_DELIVER_S)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
