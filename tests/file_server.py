"""A web server for tests: files of a folder with ranges, connections that break, and the part of the hub's API that downloads use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.listening import listening

_REPOSITORY = re.compile(r"/api/datasets/(?P<id>[\w.-]+/[\w.-]+)/(?:revision|tree)/(?P<revision>\w+)")
_RESOLVED = re.compile(r"/datasets/(?P<id>[\w.-]+/[\w.-]+)/resolve/(?P<revision>\w+)/(?P<file>.+)")


@dataclass
class FileServer:
    """What it serves, and what it was asked."""

    folder: Path
    """The files; those of a page of the hub are under `OWNER/NAME/REVISION`."""
    breaks_after: int | None = None
    """The number of bytes of a file after which it closes the connection; None: never."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Path and range of each request for the content of a file."""


@contextmanager
def file_server(folder: Path) -> Iterator[FileServer]:
    """Serve the folder on a free port."""
    served = FileServer(folder)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if found := _REPOSITORY.fullmatch(path):
                self._list(folder / found["id"] / found["revision"], found["id"], found["revision"])
            elif found := _RESOLVED.fullmatch(path):
                self._send(folder / found["id"] / found["revision"] / found["file"], found["revision"])
            else:
                self._send(folder / path.lstrip("/"))

        def _list(self, page: Path, name: str, revision: str) -> None:
            files = [str(file.relative_to(page)) for file in sorted(page.rglob("*")) if file.is_file()]
            if not files:
                self.send_error(404)
                return
            tree = [{"type": "file", "path": file, "oid": "0" * 40, "size": (page / file).stat().st_size} for file in files]
            info = {
                "id": name,
                "sha": revision,
                "private": False,
                "tags": [],
                "downloads": 0,
                "siblings": [{"rfilename": f} for f in files],
            }
            self._answer(json.dumps(tree if "/tree/" in self.path else info).encode(), {"Content-Type": "application/json"})

        def _send(self, file: Path, revision: str = "") -> None:
            if not file.is_file():
                self.send_error(404)
                return
            content, start = file.read_bytes(), 0
            if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                start = int(asked[1])
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', **({"X-Repo-Commit": revision} if revision else {})}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            if self.command == "GET":
                served.asked.append(f"{file.name} from {start}")
            self._answer(content[start:], headers, 206 if start else 200)

        def _answer(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content)), "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[: served.breaks_after])
            self.close_connection = True

    with listening(Handler) as served.url:
        yield served
