"""The HTTP interface: OpenAI's chat completions, responses and completions, the rules that are served, and figures for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from ascl_core.serving.answers import Answer
from ascl_core.serving.completions import completion_of, read_completions, score_prompts
from ascl_core.serving.exchange import Event, Exchange
from ascl_core.serving.http import RequestIds, add_error_handlers, add_rule_routes, asking, read_body
from ascl_core.serving.measures import Measures
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import ChatRequest, read_chat, read_json
from ascl_core.serving.responses import read_response, response_events, response_of
from ascl_core.serving.service import Service
from ascl_core.serving.streaming import AnswerStream, Events, chat_chunks, outcomes_of

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
    measures = Measures()

    @app.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> JSONResponse:
        ready = service.engine.is_ready
        status = "ready" if ready else "loading" if service.engine.error is None else "failed"
        return JSONResponse({"status": status}, 200 if ready else 503)

    @app.get("/metrics", dependencies=guarded)
    async def metrics() -> Response:
        return measures.response(service)

    @app.get("/v1/models/", dependencies=guarded)
    @app.get("/v1/models", dependencies=guarded)
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_described(service)]}

    @app.get("/v1/models/{name:path}", dependencies=guarded)
    async def model(name: str) -> dict[str, Any]:
        if name != service.settings.name:
            raise RequestError(f"no model {name[:80]!r}", 404, field="model", code="model_not_found")
        return _described(service)

    async def answering(*asked: ChatRequest) -> tuple[list[Exchange], Answer, Events]:
        loop, events = asyncio.get_running_loop(), Events()

        def emit(number: int, event: Event) -> None:
            measures.count(event)
            with contextlib.suppress(RuntimeError):  # the loop is closed: no client listens any more
                loop.call_soon_threadsafe(events.put_nowait, (number, event))

        exchanges, answer = await asyncio.to_thread(service.open, asked, emit)
        try:
            for one in exchanges:
                service.engine.waiting.put(one)
        except RequestError:
            for one in exchanges:
                one.cancel()
            raise
        return exchanges, answer, events

    @app.post("/v1/chat/completions", dependencies=guarded, response_model=None)
    async def chat(request: Request) -> Response:
        asked = read_chat(await read_body(request, CHAT_BYTES), service.settings.on_unknown)
        exchanges, answer, events = await answering(asked)
        if asked.stream:
            return AnswerStream(exchanges, chat_chunks(answer, events, len(exchanges)))
        return JSONResponse(answer.whole(await outcomes_of(exchanges, events, request)))

    @app.post("/v1/responses", dependencies=guarded, response_model=None)
    async def responses(request: Request) -> Response:
        asked = read_response(await read_body(request, CHAT_BYTES), service.settings.on_unknown)
        exchanges, answer, events = await answering(asked)
        if asked.stream:
            return AnswerStream(exchanges, response_events(answer, events))
        [outcome] = await outcomes_of(exchanges, events, request)
        return JSONResponse(response_of(answer, outcome))

    @app.post("/v1/completions", dependencies=guarded, response_model=None)
    async def completions(request: Request) -> Response:
        values = read_json(await read_body(request, CHAT_BYTES))
        if values.get("echo"):
            return JSONResponse(await asyncio.to_thread(score_prompts, service, values))
        asked = await asyncio.to_thread(read_completions, service, values)
        exchanges, answer, events = await answering(*asked)
        return JSONResponse(completion_of(answer, await outcomes_of(exchanges, events, request), len(asked)))

    add_rule_routes(app, service.corpora, service.access)
    add_error_handlers(app)
    app.add_middleware(RequestIds)
    return app


def _described(service: Service) -> dict[str, Any]:
    current = service.corpora.current
    about = {**service.identity, "release": service.release_of(current), "corpus": current.digest, "index": current.index.digest}
    created = int(service.corpora.started.timestamp())
    return {"id": service.settings.name, "object": "model", "created": created, "owned_by": "ascl", "ascl": about}
