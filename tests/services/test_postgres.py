"""A Prefect server whose state is in PostgreSQL: it starts, remembers, and gets over a restart of the database."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.execution.local_server import local_server
from tests.services.postgres_server import postgres_server

pytestmark = pytest.mark.services


def ask(url: str, values: dict[str, Any] | None = None) -> Any:
    """The answer of the API as JSON."""
    body = None if values is None else json.dumps(values).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_a_server_on_postgres_answers_remembers_and_gets_over_a_restart_of_the_database(tmp_path: Path) -> None:
    with postgres_server() as database:
        with local_server(tmp_path / "prefect", database.url) as url:
            ask(f"{url}/variables/", {"name": "kept", "value": "before"})
            assert database.ask("select name from variable") == "kept", "its state is in PostgreSQL, and in no file"
            assert not (tmp_path / "prefect" / "server.db").exists()
            database.restart()
            deadline = time.monotonic() + 60
            while True:
                try:
                    assert ask(f"{url}/variables/name/kept")["value"] == "before"
                    break
                except (urllib.error.URLError, OSError):
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
        folder = database.folder
    assert not folder.exists()
    assert not [process for process in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(process.info["cmdline"] or ())]
    assert os.environ.get("PREFECT_API_DATABASE_CONNECTION_URL") is None
