"""A real HTTP server on this machine with the endpoints of vLLM's that we ask, which says what a test sets, or fails."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.listening import listening


@dataclass
class CompletionServer:
    """What the server serves and says, and what it was asked."""

    model: Any
    tokenizer: Any
    turns: list[str] = field(default_factory=list)
    """The texts of the turns that are streamed, with their ends; the last one is repeated."""
    models: list[dict[str, Any]] = field(default_factory=list)
    is_processed: bool = True
    """Whether the log-probability of the only token that is allowed is 0."""
    status: int = 200
    """The status of what is streamed."""
    cut_after: int | None = None
    """The number of tokens after which the connection ends, or a stream goes on with `then`."""
    then: bytes = b""
    hangs: bool = False
    """Whether it falls silent there instead."""
    page: bytes | None = None
    """What it answers to everything, if it is another server."""
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    is_silent: threading.Event = field(default_factory=threading.Event)
    """Set when it keeps a client waiting."""
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when a client has gone that was kept waiting."""
    ended: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer that is not streamed."""
        if path.endswith("/models"):
            return {"object": "list", "data": self.models}
        if path == "/tokenize":
            return {"tokens": self.tokenizer.encode(body["prompt"], add_special_tokens=body["add_special_tokens"])}
        return {"choices": [self._scored(body)]}

    def _scored(self, body: dict[str, Any]) -> dict[str, Any]:
        import torch

        ids, only = body["prompt"], body["allowed_token_ids"]
        with torch.inference_mode():
            log_probs = self.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        scores = [float(log_probs[i, token]) for i, token in enumerate([*ids[1:], *only])]
        return {"logprobs": {"token_logprobs": [None, *scores[:-1], 0.0 if self.is_processed else scores[-1]]}, "token_ids": only}

    def stream(self, body: dict[str, Any]) -> Iterator[bytes]:
        """The events of a turn, one for each token."""
        said = self.turns[min(sum(1 for one in self.requests if one.get("stream")), len(self.turns)) - 1]
        ids = self.tokenizer.encode(said, add_special_tokens=False)[: body["max_tokens"]]
        for number, token in enumerate(ids):
            if number == self.cut_after:
                yield self.then
                return
            choice: dict[str, Any] = {"index": 0, "text": "", "token_ids": [token]}
            if "logprobs" in body:
                choice["logprobs"] = {"token_logprobs": [-0.5], "top_logprobs": [{f"token_id:{token}": -0.5, "token_id:3": -9999.0}]}
            yield b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"


@contextmanager
def completion_server(model: Any, tokenizer: Any, **settings: Any) -> Iterator[CompletionServer]:
    """A server on a free port, with one model `tiny` of the model's own context."""
    length = model.config.max_position_embeddings
    state = CompletionServer(model, tokenizer, models=[{"id": "tiny", "root": "/models/tiny", "max_model_len": length}], **settings)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append(body)
            if body.get("stream"):
                self._stream(body)
            else:
                self._send(body)

        def _send(self, body: dict[str, Any]) -> None:
            state.headers.append({name.title(): value for name, value in self.headers.items()})
            content = json.dumps(state.answer(self.path, body)).encode() if state.page is None else state.page
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, body: dict[str, Any]) -> None:
            self.send_response(state.status)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for event in state.stream(body) if state.status == 200 else [b'{"error": {"message": "no"}}']:
                    self.wfile.write(event)
            self.connection.settimeout(0.05)
            if state.hangs:
                state.is_silent.set()
            while state.hangs and not state.ended.is_set() and not state.hung_up.is_set():
                with contextlib.suppress(TimeoutError):
                    if self.connection.recv(1) == b"":
                        state.hung_up.set()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with listening(Handler) as address:
        state.url = f"{address}/v1"
        try:
            yield state
        finally:
            state.ended.set()
