"""Timestamps: OpenSSL is the authority, and checks what was got from it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import write_text
from ascl_core.errors import DataError
from tasks.lineage.export.timestamp import timestamp

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
CONTENT = b"a file of checksums\n"
CONFIG = """
[authority]
basicConstraints = critical, CA:false
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = of_tests
[of_tests]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
"""


class Authority:
    """An authority in a folder; it answers what is in `answers`, if there is something, before it answers itself."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers = folder, list[bytes]()
        write_text(folder / "tsa.cnf", CONFIG)
        write_text(folder / "serial", "01\n")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self.openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=a test's root")
        self.openssl("req", *new_key, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=a test's authority")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "tsa.cnf", "-extensions", "authority")
        self.openssl("x509", "-req", "-in", "tsa.csr", *signed, "-out", "tsa.pem")

    def openssl(self, *arguments: str) -> str:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reply(self, query: bytes) -> bytes:
        if self.answers:
            return self.answers.pop(0)
        (self.folder / "query").write_bytes(query)
        own = ("-config", "tsa.cnf", "-section", "of_tests", "-inkey", "tsa.key", "-signer", "tsa.pem")
        self.openssl("ts", "-reply", "-queryfile", "query", *own, "-out", "reply")
        return (self.folder / "reply").read_bytes()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = authority.reply(self.rfile.read(int(self.headers["Content-Length"])))
            asked = self.headers["Content-Type"] == "application/timestamp-query"
            self.send_response(200 if asked else 415)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_openssl_verifies_the_timestamp_and_refuses_it_for_other_bytes(authority: Authority, url: str) -> None:
    (authority.folder / "stamp.tsr").write_bytes(timestamp(CONTENT, url))
    (authority.folder / "sums").write_bytes(CONTENT)
    verify = ("ts", "-verify", "-in", "stamp.tsr", "-CAfile", "ca.pem", "-data", "sums")
    assert "Verification: OK" in authority.openssl(*verify)
    (authority.folder / "sums").write_bytes(CONTENT + b" ")
    with pytest.raises(AssertionError, match="mismatch"):
        authority.openssl(*verify)


def test_what_is_no_timestamp_of_these_bytes_is_one_error(authority: Authority, url: str) -> None:
    of_something_else = timestamp(b"something else", url)
    authority.answers = [of_something_else, b"<html>busy</html>"]
    with pytest.raises(DataError, match="gave a timestamp of something else"):
        timestamp(CONTENT, url)
    with pytest.raises(DataError, match="gave no timestamp"):
        timestamp(CONTENT, url)
    assert timestamp(CONTENT, url) != timestamp(CONTENT, url), "each is of its own moment"
    with pytest.raises(DataError, match="gave no timestamp") as caught:
        timestamp(CONTENT, "http://user:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


def test_an_authority_that_refuses_is_one_error_with_its_status(authority: Authority, url: str) -> None:
    write_text(authority.folder / "tsa.cnf", CONFIG.replace("digests = sha256", "digests = sha512"))
    with pytest.raises(DataError, match="refused a timestamp, with the status 2"):
        timestamp(CONTENT, url)
