"""Send an answer as a whole or as server-sent events; a client that disconnects ends the generation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
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
STILL_AT_WORK = ": still at work\n\n"


Events = asyncio.Queue[tuple[int, Event]]
"""Events of the choices of one answer, each with the number of its choice."""


class AnswerStream(StreamingResponse):
    """Server-sent events, made of the events of some exchanges."""

    def __init__(self, exchanges: Sequence[Exchange], chunks: AsyncIterator[str]) -> None:
        self._exchanges = exchanges
        super().__init__(chunks, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the chunks, and cancel the exchanges when the connection ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            for one in self._exchanges:
                one.cancel()


async def outcomes_of(exchanges: Sequence[Exchange], events: Events, request: Request) -> list[Outcome]:
    """Return the outcomes of the exchanges; `ClientDisconnect` if the client disconnects first."""
    gone = asyncio.ensure_future(_disconnected(request))
    ended = asyncio.ensure_future(_last(events, len(exchanges)))
    try:
        await asyncio.wait((gone, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise ClientDisconnect
        return ended.result()
    finally:
        for one in exchanges:
            one.cancel()
        gone.cancel()
        ended.cancel()


async def _last(events: Events, most: int) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < most:
        number, event = await events.get()
        if isinstance(event, AsclError):
            raise event
        if isinstance(event, Outcome):
            outcomes[number] = event
    return [outcomes[number] for number in range(most)]


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def chat_chunks(answer: Answer, events: Events, choices: int) -> AsyncIterator[str]:
    """Yield the chunks of a chat completion."""
    for number in range(choices):
        yield event_line(answer.start(number))
    outcomes: list[Outcome] = []
    async for item in timed(events):
        if item is None:
            yield STILL_AT_WORK
            continue
        number, event = item
        if isinstance(event, Piece):
            if chunk := answer.piece(event, number):
                yield event_line(chunk)
        elif isinstance(event, Outcome):
            yield event_line(answer.end(event, number))
            outcomes.append(event)
        else:
            yield event_line(problem_of(event).to_json())
            break
        if len(outcomes) == choices:
            if answer.with_usage:
                yield event_line(answer.usage(outcomes))
            break
    yield "data: [DONE]\n\n"


async def timed(events: Events) -> AsyncIterator[tuple[int, Event] | None]:
    """Yield the events without end, and None after each long silence."""
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                item = await events.get()
        except TimeoutError:
            yield None
        else:
            yield item


def problem_of(error: AsclError) -> RequestError:
    """Return the error as a client may see it."""
    return error if isinstance(error, RequestError) else RequestError(error.problem, 500)


def event_line(value: dict[str, Any], name: str | None = None) -> str:
    """Return a server-sent event."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
