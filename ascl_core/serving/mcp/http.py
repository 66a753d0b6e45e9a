"""MCP over streamable HTTP, beside the endpoints that show and swap the rules; the same tokens as for `ascl serve`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ascl_core.serving.access import Access
from ascl_core.serving.http import add_error_handlers, add_rule_routes
from ascl_core.serving.mcp.server import RuleServer
from ascl_core.serving.problems import RequestError

PATH = "/mcp"
_BODY_BYTES = 1 << 20
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_LOCAL = TransportSecuritySettings(
    allowed_hosts=[form for name in _NAMES for form in (name, f"{name}:*")],
    allowed_origins=[f"http://{form}" for name in _NAMES for form in (name, f"{name}:*")],
)
"""Without a token only this machine may send requests, and no web page in one of its browsers."""


def make_mcp_app(server: RuleServer, access: Access) -> FastAPI:
    """Return the application: `/mcp`, `/health`, and the endpoints for the rules.

    Requests share no session, so that clients do not notice a restart.
    """
    inner = server.build()
    security = _LOCAL if access.token is None else TransportSecuritySettings(enable_dns_rebinding_protection=False)
    mcp = inner.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=_BODY_BYTES,
        transport_security=security,
    )

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with inner.session_manager.run():
            yield

    app = FastAPI(title="ascl mcp", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/health")(_health)
    add_rule_routes(app, server.corpora, access)
    app.router.routes.append(Route(PATH, endpoint=_Guarded(mcp, access)))
    add_error_handlers(app)
    return app


async def _health() -> dict[str, Any]:
    return {"status": "ready"}


class _Guarded:
    """Checks the access of every request."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._access.check(headers.get("authorization"), headers.get("host"))
        except RequestError as error:
            await JSONResponse(error.to_json(), error.status, error.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)
