"""Send an answer as a whole or as server-sent events; a client that disconnects ends the generation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from ascl_core.errors import AsclError
from ascl_core.serving.answers import Answer
from ascl_core.serving.exchange import Event, Exchange, Outcome
from ascl_core.serving.problems import RequestError
from ascl_core.serving.splitting import Piece

_SILENCE_S = 15.0
"""How often a comment is sent to keep proxies from closing a silent connection."""


class AnswerStream(StreamingResponse):
    """The answer as a stream of chunks."""

    def __init__(self, exchange: Exchange, answer: Answer, events: asyncio.Queue[Event], *, with_usage: bool) -> None:
        self._exchange = exchange
        pieces = _chunks(answer, events, with_usage)
        super().__init__(pieces, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the chunks, and cancel the exchange when the connection ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._exchange.cancel()


async def outcome_of(exchange: Exchange, events: asyncio.Queue[Event], request: Request) -> Outcome:
    """Return the outcome of an exchange; `ClientDisconnect` if the client disconnects first."""
    gone = asyncio.ensure_future(_disconnected(request))
    ended = asyncio.ensure_future(_last(events))
    try:
        await asyncio.wait((gone, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise ClientDisconnect
        return ended.result()
    finally:
        exchange.cancel()
        gone.cancel()
        ended.cancel()


async def _last(events: asyncio.Queue[Event]) -> Outcome:
    while not isinstance(event := await events.get(), Outcome):
        if isinstance(event, AsclError):
            raise event
    return event


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _chunks(answer: Answer, events: asyncio.Queue[Event], with_usage: bool) -> AsyncIterator[str]:
    yield _event(answer.start())
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                event = await events.get()
        except TimeoutError:
            yield ": still at work\n\n"
            continue
        if isinstance(event, Piece):
            if chunk := answer.piece(event):
                yield _event(chunk)
            continue
        if isinstance(event, Outcome):
            yield _event(answer.end(event))
            if with_usage:
                yield _event(answer.usage(event))
        else:
            problem = event if isinstance(event, RequestError) else RequestError(event.problem, 500)
            yield _event(problem.to_json())
        yield "data: [DONE]\n\n"
        return


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
