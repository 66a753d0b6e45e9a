"""The HTTP interface: OpenAI's chat completions, and the rules that are served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from ascl_core.serving.exchange import Event
from ascl_core.serving.http import add_error_handlers, add_rule_routes, asking, read_body
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import read_chat
from ascl_core.serving.service import Service
from ascl_core.serving.streaming import AnswerStream, outcome_of

CHAT_BYTES = 1 << 20
"""The largest body of a chat request."""
_STOP_S = 10.0


def make_app(service: Service) -> FastAPI:
    """Return the application; the model loads while it starts."""

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        yield
        await asyncio.to_thread(service.engine.stop, _STOP_S)

    app = FastAPI(title="ascl serve", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    guarded = [Depends(asking(service.access))]

    @app.get("/health")
    async def health() -> JSONResponse:
        ready = service.engine.is_ready
        status = "ready" if ready else "loading" if service.engine.error is None else "failed"
        return JSONResponse({"status": status}, 200 if ready else 503)

    @app.get("/v1/models", dependencies=guarded)
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_described(service)]}

    @app.get("/v1/models/{name}", dependencies=guarded)
    async def model(name: str) -> dict[str, Any]:
        if name != service.settings.name:
            raise RequestError(f"no model {name[:80]!r}", 404, field="model", code="model_not_found")
        return _described(service)

    @app.post("/v1/chat/completions", dependencies=guarded, response_model=None)
    async def chat(request: Request) -> Response:
        asked = read_chat(await read_body(request, CHAT_BYTES))
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def emit(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: no client listens any more
                loop.call_soon_threadsafe(events.put_nowait, event)

        exchange, answer = await asyncio.to_thread(service.open, asked, emit)
        service.engine.waiting.put(exchange)
        if asked.stream:
            return AnswerStream(exchange, answer, events, with_usage=asked.with_usage)
        return JSONResponse(answer.whole(await outcome_of(exchange, events, request)))

    add_rule_routes(app, service.corpora, service.access)
    add_error_handlers(app)
    return app


def _described(service: Service) -> dict[str, Any]:
    current = service.corpora.current
    about = {**service.identity, "release": service.release_of(current), "corpus": current.digest, "index": current.index.digest}
    created = int(service.corpora.started.timestamp())
    return {"id": service.settings.name, "object": "model", "created": created, "owned_by": "ascl", "ascl": about}
