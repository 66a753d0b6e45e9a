"""The HTTP interface: OpenAI's chat completions, and the rules that are served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ascl_core.errors import AsclError
from ascl_core.serving.exchange import Event
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import read_chat, read_json
from ascl_core.serving.service import Service
from ascl_core.serving.streaming import AnswerStream, outcome_of

CHAT_BYTES = 1 << 20
"""The most that a chat request may have."""
CORPUS_BYTES = 8 << 20
"""The most that a corpus may have."""
_BODY_S = 30.0
_STOP_S = 10.0
_GONE = 499


def make_app(service: Service) -> FastAPI:
    """The application; the model loads while it starts."""

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        yield
        await asyncio.to_thread(service.engine.stop, _STOP_S)

    async def asking(request: Request) -> None:
        service.access.check(request.headers.get("authorization"), request.headers.get("host"))

    async def swapping(request: Request) -> None:
        service.access.check_admin(request.headers.get("authorization"))

    app = FastAPI(title="ascl serve", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/health")(_health(service))
    guarded = [Depends(asking)]
    app.get("/v1/models", dependencies=guarded)(_models(service))
    app.get("/v1/models/{name}", dependencies=guarded)(_model(service))
    app.post("/v1/chat/completions", dependencies=guarded, response_model=None)(_chat(service))
    app.get("/v1/rules", dependencies=guarded)(_rules(service))
    app.get("/v1/rules/corpus", dependencies=guarded)(_corpus(service))
    app.put("/v1/rules", dependencies=[*guarded, Depends(swapping)])(_swap(service))
    _say_errors_as_openai_does(app)
    return app


def _health(service: Service) -> Callable[[], Any]:
    async def health() -> JSONResponse:
        ready = service.engine.is_ready
        status = "ready" if ready else "loading" if service.engine.error is None else "failed"
        return JSONResponse({"status": status}, 200 if ready else 503)

    return health


def _models(service: Service) -> Callable[[], Any]:
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_described(service)]}

    return models


def _model(service: Service) -> Callable[[str], Any]:
    async def model(name: str) -> dict[str, Any]:
        if name != service.settings.name:
            raise RequestError(f"no model {name[:80]!r}", 404, field="model", code="model_not_found")
        return _described(service)

    return model


def _described(service: Service) -> dict[str, Any]:
    since = int(service.corpora.started.timestamp())
    current = service.corpora.current
    about = {**service.identity, "release": service.release_of(current), "corpus": current.digest}
    return {"id": service.settings.name, "object": "model", "created": since, "owned_by": "ascl", "ascl": about}


def _chat(service: Service) -> Callable[[Request], Any]:
    async def chat(request: Request) -> Response:
        asked = read_chat(await _body(request, CHAT_BYTES))
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def tell(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(events.put_nowait, event)

        exchange, answer = await asyncio.to_thread(service.open, asked, tell)
        service.engine.waiting.put(exchange)
        if asked.stream:
            return AnswerStream(exchange, answer, events, with_usage=asked.with_usage)
        return JSONResponse(answer.whole(await outcome_of(exchange, events, request)))

    return chat


def _rules(service: Service) -> Callable[[], Any]:
    async def rules() -> dict[str, Any]:
        return service.corpora.current.to_json()

    return rules


def _corpus(service: Service) -> Callable[[], Any]:
    def corpus() -> dict[str, Any]:
        return service.corpora.current.corpus.to_json()

    return corpus


def _swap(service: Service) -> Callable[[Request], Any]:
    async def swap(request: Request) -> dict[str, Any]:
        values = read_json(await _body(request, CORPUS_BYTES))
        expected = request.headers.get("if-match")
        old, new = await asyncio.to_thread(service.corpora.swap, values, expected.strip('"') if expected else None)
        return {"old": old.to_json(), "new": new.to_json()}

    return swap


async def _body(request: Request, most: int) -> bytes:
    """The body; `RequestError` where it is no JSON, too large, or does not come."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError("the body must be JSON", 415, mend="send Content-Type: application/json")
    declared = request.headers.get("content-length", "0")
    too_large = RequestError(f"the body has more than {most} bytes", 413, code="request_too_large")
    if not declared.isascii() or not declared.isdigit() or len(declared) > 15 or int(declared) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise RequestError(f"the body did not come within {_BODY_S:.0f} s", 408) from None
    return bytes(body)


def _say_errors_as_openai_does(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return JSONResponse(error.to_json(), error.status, error.headers)

    @app.exception_handler(AsclError)
    async def not_valid(_: Request, error: AsclError) -> JSONResponse:
        problem = RequestError(error.problem, 422, field=error.field, code="invalid_rules", mend=error.mend)
        return JSONResponse(problem.to_json(), problem.status)

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> JSONResponse:
        problem = RequestError(f"{error.detail}: {request.method} {request.url.path[:200]}", error.status_code)
        return JSONResponse(problem.to_json(), error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=_GONE)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> JSONResponse:
        problem = RequestError("an error of the server", 500, mend="its log says more")
        return JSONResponse(problem.to_json(), 500)
