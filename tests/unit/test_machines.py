"""Machines as people have them: an error of the machine is one line with a hint, and never an unexpected one."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ascl_core.artifacts import sha256_tree
from ascl_core.errors import ConfigError, DataError, WorkspaceError
from flows.cli import _message
from tasks.evidence.provenance import git_state
from tasks.execution.local_server import CLIENT_AUTH, SERVER_AUTH, check_answers, use_server_credentials
from tasks.execution.serving import served_corpus
from tasks.host.environment import name_the_user, reach_this_machine_directly
from tasks.repository.git import export, git
from tasks.repository.worktrees import NOBODY

ROOT = Path(__file__).parents[2]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def asked(*words: str, **environment: str) -> str:
    """Return what the command line prints in just this environment, from the repository."""
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.cli", *words]
    done = subprocess.run(command, cwd=ROOT, env=kept | environment, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "surrogateescape")


@pytest.fixture(autouse=True)
def new_opener(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test keep the proxies of another: the first request of a process decides."""
    monkeypatch.setattr(urllib.request, "_opener", None)


LOCALES = [ASCII, ASCII | {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "de_DE.ISO-8859-1"}, {"LANG": "no_SUCH"}]


@pytest.mark.live
@pytest.mark.parametrize("environment", LOCALES)
def test_text_is_utf8_in_every_locale(tmp_path: Path, environment: dict[str, str]) -> None:
    """A rule with letters of other scripts is read as it is written, and its finding is printed."""
    folder = tmp_path / "règles"
    folder.mkdir()
    (folder / "Ä.yaml").write_text("rules:\n- id: ÄÖÜ→日本\n", encoding="utf-8")
    said = asked("rules", "check", "--folder", str(folder), HOME=str(tmp_path), **environment)
    assert "unexpected" not in said
    assert ".yaml" in said
    assert "Ã" not in said


@pytest.mark.live
def test_a_name_that_is_not_utf8_is_printed_and_refused(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")  # noqa: PTH102
    said = asked("rules", "check", "--folder", os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"), HOME=str(tmp_path))
    assert "unexpected" not in said
    (tmp_path / "data").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/data/caf\xe9.yaml")).write_text("x")
    with pytest.raises(DataError, match="not UTF-8") as raised:
        sha256_tree(tmp_path / "data")
    str(raised.value).encode()


def test_a_name_that_is_not_utf8_makes_the_tree_dirty_and_the_record_writable(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message=a", environment=NOBODY)
    assert git_state(tmp_path)["dirty"] is False
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_text("x")
    assert git_state(tmp_path)["dirty"] is True


def test_a_user_without_an_account_and_a_home_gets_a_name_and_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("os.access", lambda *_: False)
    name_the_user(tmp_path)
    assert os.environ["LOGNAME"] == f"uid{os.getuid()}"
    assert Path.home() == Path("/")
    assert os.environ["XDG_CACHE_HOME"].startswith(str(tmp_path))


@pytest.mark.parametrize("before", ["", "example.org", "example.org, 127.0.0.1", "localhost,.corp", None])
def test_this_machine_is_reached_directly(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, before or "")
        if before is None:
            monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    reach_this_machine_directly()
    kept = [host.strip() for host in (before or "").split(",") if host.strip()]
    assert all(urllib.request.proxy_bypass(host.lstrip(".")) for host in ("127.0.0.1", "localhost", *kept))
    assert not urllib.request.proxy_bypass("example.com")
    with server(200, "application/json") as url:
        check_answers(f"{url}/api")


def test_a_proxy_that_is_switched_off_for_all_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    reach_this_machine_directly()
    assert os.environ["no_proxy"] == "*"


def test_a_link_in_a_commit_is_read_and_never_leads_out_of_it(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    (root / "folder").mkdir(parents=True)
    git(root, "init", "--quiet")
    (root / "folder" / "a").write_text("a")
    (root / "folder" / "link").symlink_to("a")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=a", environment=NOBODY)
    assert (export(root, "HEAD", Path("folder"), tmp_path / "out") / "link").read_text() == "a"
    for target in ("../../x", "/etc/passwd"):
        (root / "folder" / "link").unlink()
        (root / "folder" / "link").symlink_to(target)
        git(root, "commit", "--quiet", "--all", "--message=b", environment=NOBODY)
        with pytest.raises(WorkspaceError, match="leads out of the repository"):
            export(root, "HEAD", Path("folder"), tmp_path / "bad")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "/data/x"),
        PermissionError(errno.EACCES, "Permission denied", "/data/x"),
        OSError("broken"),
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("attempt to write a readonly database"),
        UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed"),
        UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid start byte"),
    ],
)
def test_what_a_machine_prevents_is_one_line_with_a_hint(error: Exception) -> None:
    said = _message(error)
    assert "unexpected" not in said
    assert "--debug" not in said
    assert said.count("\n  hint: ") == 1


@contextmanager
def server(status: int, kind: str) -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(b'"3.0"')

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.mark.parametrize(
    ("status", "kind", "path", "hint"),
    [
        (200, "text/html", "", "/api$"),
        (404, "text/html", "/", "/api$"),
        (200, "text/html", "/api", "ends in /api"),
        (500, "text/html", "", "log"),
    ],
)
def test_a_server_that_is_no_api_of_prefect_is_named_with_what_is_missing(status: int, kind: str, path: str, hint: str) -> None:
    with server(status, kind) as url, pytest.raises(WorkspaceError, match=hint) as raised:
        check_answers(f"{url}{path}")
    assert raised.value.field == "PREFECT_API_URL"


@pytest.mark.parametrize("url", ["http://127.0.0.1:42a/api", "http://127.0.0.1:9/api ", "ftp://127.0.0.1/api", "http://[::1/api"])
def test_an_address_of_prefect_that_is_none_is_one_clear_error(url: str) -> None:
    with pytest.raises(WorkspaceError, match="not an http"):
        check_answers(url)


def test_another_service_at_the_port_is_no_api_of_prefect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        Thread(target=answer, daemon=True).start()
        with pytest.raises(WorkspaceError, match="no Prefect server answers"):
            check_answers(f"http://127.0.0.1:{listening.getsockname()[1]}/api")
    with server(404, "application/json") as url, pytest.raises(WorkspaceError, match="no Prefect API"):
        check_answers(f"{url}/api")


def test_a_proxy_that_is_gone_keeps_no_client_from_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with server(200, "application/json") as url:
        check_answers(f"{url}/api")
        with pytest.raises(WorkspaceError, match="HTTP 200, and not from ascl serve"):
            served_corpus(url)


@pytest.mark.parametrize("proxy", ["socks4://127.0.0.1:9", "ftp://127.0.0.1:9", "http://x:abc"])
def test_a_proxy_that_no_client_of_prefect_can_use_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ConfigError, match="ALL_PROXY"):
        check_answers("http://127.0.0.1:9/api")


@pytest.mark.parametrize("name", [SERVER_AUTH, CLIENT_AUTH])
def test_a_password_that_prefect_cannot_compare_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable in (SERVER_AUTH, CLIENT_AUTH):
        monkeypatch.setenv(variable, "user:plain")
    use_server_credentials()
    monkeypatch.setenv(name, "user:pässword")
    with pytest.raises(ConfigError, match="not ASCII") as raised:
        use_server_credentials()
    assert "pässword" not in str(raised.value)
