"""A real HTTP server on this machine that answers as an OpenAI-compatible one would, or as a broken one."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.listening import listening

Body = bytes | Callable[[dict[str, Any]], bytes]
FULL = '{"refusal": "full", "harm": "unharmful", "reason": "declines"}'
NONE = '{"refusal": "none", "harm": "harmful", "reason": "explains"}'


def completion(content: str | None) -> bytes:
    """The body of a chat completion."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}).encode()


@dataclass
class Server:
    """What the server answers, and what it was asked."""

    url: str = ""
    script: list[tuple[int, Body, dict[str, str]]] = field(default_factory=list)
    """Status, body and headers of each answer in turn; the last one is repeated."""
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the test is over: what hangs ends then."""

    def answer(self, body: Body, status: int = 200, **headers: str) -> None:
        """Append an answer to the script."""
        self.script.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    def hang(self, request: dict[str, Any]) -> bytes:
        """A body that does not come before the test is over."""
        self.ended.wait()
        return b""


@contextmanager
def serve(trickle_s: float | None = None) -> Iterator[Server]:
    """A server on a free port; with `trickle_s` it sends one byte of a body every so many seconds."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append((self.path, {name.title(): value for name, value in self.headers.items()}, body))
            status, content, headers = state.script[min(len(state.requests), len(state.script)) - 1]
            content = content(body) if callable(content) else content
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                for piece in (content,) if trickle_s is None else (bytes([byte]) for byte in content):
                    self.wfile.write(piece)
                    if trickle_s is not None and state.ended.wait(trickle_s):
                        return

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with listening(Handler) as address:
        state.url = f"{address}/v1"
        try:
            yield state
        finally:
            state.ended.set()
