"""What the HTTP servers share: bodies, errors in OpenAI's form, a listening socket, and the endpoints for the rules."""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ascl_core.errors import AsclError, ConfigError
from ascl_core.serving.access import Access
from ascl_core.serving.corpora import ServedCorpora
from ascl_core.serving.problems import RequestError
from ascl_core.serving.requests import read_json

CORPUS_BYTES = 8 << 20
"""The largest body with a corpus."""
_BODY_S = 30.0
_CLIENT_CLOSED = 499
_REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Middleware that names each response in `x-request-id`: as the client named its request, or by a new id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the header to its response."""
        given = dict(scope.get("headers", ())).get(_REQUEST_ID, b"")
        own = given if _ID.fullmatch(given) else f"req_{uuid.uuid4().hex}".encode()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (_REQUEST_ID, own)]
            await send(message)

        await self._app(scope, receive, named)


def add_rule_routes(app: FastAPI, corpora: ServedCorpora, access: Access) -> None:
    """Add the endpoints that show and swap the rules: `GET /v1/rules`, `GET /v1/rules/corpus` and `PUT /v1/rules`."""

    async def swapping(request: Request) -> None:
        access.check_admin(request.headers.get("authorization"))

    guarded = [Depends(asking(access))]

    @app.get("/v1/rules", dependencies=guarded)
    async def rules() -> dict[str, Any]:
        return corpora.current.to_json()

    @app.get("/v1/rules/corpus", dependencies=guarded)
    def corpus() -> dict[str, Any]:
        return corpora.current.corpus.to_json()

    @app.put("/v1/rules", dependencies=[*guarded, Depends(swapping)])
    async def swap(request: Request) -> dict[str, Any]:
        values = read_json(await read_body(request, CORPUS_BYTES))
        expected = request.headers.get("if-match")
        old, new = await asyncio.to_thread(corpora.swap, values, expected.strip('"') if expected else None)
        return {"old": old.to_json(), "new": new.to_json()}


def asking(access: Access) -> Callable[[Request], Any]:
    """Return the dependency of endpoints that only authorised clients may call."""

    async def check(request: Request) -> None:
        access.check(request.headers.get("authorization"), request.headers.get("host"))

    return check


async def read_body(request: Request, most: int) -> bytes:
    """Return the body; `RequestError` if it is not JSON, larger than `most` bytes, or does not arrive in time."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError("the body must be JSON", 415, hint="send Content-Type: application/json")
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
        raise RequestError(f"the body did not arrive within {_BODY_S:.0f} s", 408) from None
    return bytes(body)


def add_error_handlers(app: FastAPI) -> None:
    """Return every error of the application in OpenAI's form."""

    def response(error: RequestError) -> JSONResponse:
        return JSONResponse(error.to_json(), error.status, error.headers)

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return response(error)

    @app.exception_handler(AsclError)
    async def invalid(_: Request, error: AsclError) -> JSONResponse:
        return response(RequestError(error.problem, 422, field=error.field, code="invalid_rules", hint=error.hint))

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> JSONResponse:
        problem = RequestError(f"{error.detail}: {request.method} {request.url.path[:200]}", error.status_code)
        return JSONResponse(problem.to_json(), error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def disconnected(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=_CLIENT_CLOSED)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> JSONResponse:
        return response(RequestError("internal server error", 500, hint="see the server's log"))


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; `ConfigError` if it cannot."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=256)
    except (OSError, OverflowError) as error:
        value = f"{host}:{port}"
        raise ConfigError(f"cannot listen there: {error}", field="--host, --port", value=value, hint="choose another port") from error


def address(listener: socket.socket) -> str:
    """Return host and port of a listening socket as they stand in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
