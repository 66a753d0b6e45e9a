"""The official `openai` clients, set up so that an answer has one time limit, the key stays with its host, and nothing else is reported.

They wait and try again by themselves after 408, 409, 425, 429, 498, every 5xx and a broken connection: as long as
the server asks, up to two minutes, or 0.5 s doubling up to 8 s. Fifteen attempts span more than a minute, the window of most rate limits.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx2
import openai

from ascl_core.urls import is_this_machine

_CONNECT_S = 5.0
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 8.0
"""The waits of the client itself, in seconds: the first, and the longest."""
_DEADLINE = "ascl_deadline"
_ERROR_STATUS = re.compile("[45][0-9]{2}")
_PASSING = (425, 498)
"""Too early, and no capacity: passing failures that the client does not know."""
_RETRY_COUNT = "x-stainless-retry-count"


class LateAnswer(openai.APITimeoutError):
    """The request was accepted and its answer did not come in time; the client does not try it again by itself."""


class _Body(httpx2.SyncByteStream):
    """A body that must be complete by the deadline, however steadily it trickles in."""

    def __init__(self, stream: Any, deadline_s: float) -> None:
        self.stream = stream
        self.deadline_s = deadline_s

    def __iter__(self) -> Iterator[bytes]:
        for part in self.stream:
            if time.monotonic() > self.deadline_s:
                raise httpx2.ReadTimeout("the body is late")
            yield part

    def close(self) -> None:
        self.stream.close()


class _Http(httpx2.Client):
    """Connections that follow no redirect, reach this machine directly, and send nothing about it."""

    def __init__(self, host: str, timeout_s: float, has_key: bool) -> None:
        super().__init__(**_connections(host, timeout_s), event_hooks={"response": [_limit_body]})
        self.limit_s = timeout_s
        self.has_key = has_key

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Return the answer; `LateAnswer` where it is not complete in time."""
        _remove_headers(request, self.has_key)
        request.extensions[_DEADLINE] = time.monotonic() + self.limit_s
        try:
            response = super().send(request, **options)
        except (httpx2.ReadTimeout, httpx2.WriteTimeout):
            raise LateAnswer(request=request) from None
        response.status_code = _status_of(response)
        if response.status_code in _PASSING:
            response.headers["x-should-retry"] = "true"
        _lengthen_wait(response, attempts_of(request))
        return response


class _StreamingHttp(httpx2.AsyncClient):
    """The same for streams: the time limit is that of each silence."""

    def __init__(self, host: str, timeout_s: float, has_key: bool) -> None:
        super().__init__(**_connections(host, timeout_s), limits=httpx2.Limits(max_connections=None))
        self.has_key = has_key

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Return the answer, whose body may be still to come; `LateAnswer` where it does not begin in time."""
        _remove_headers(request, self.has_key)
        try:
            return await super().send(request, **options)
        except (httpx2.ReadTimeout, httpx2.WriteTimeout):
            raise LateAnswer(request=request) from None


def open_client(base_url: str, host: str, key: str | None, *, timeout_s: float, attempts: int) -> openai.OpenAI:
    """Return a client for the endpoint, which sends `Authorization` only if there is a key."""
    http = _Http(host, timeout_s, key is not None)
    return openai.OpenAI(api_key=key or "none", base_url=base_url, max_retries=attempts - 1, http_client=http)


def open_streaming_client(base_url: str, host: str, key: str | None, *, timeout_s: float, attempts: int) -> openai.AsyncOpenAI:
    """Return a client for any number of streams at a time; a stream has no time limit as long as something keeps arriving."""
    http = _StreamingHttp(host, timeout_s, key is not None)
    return openai.AsyncOpenAI(api_key=key or "none", base_url=base_url, max_retries=attempts - 1, http_client=http)


def _connections(host: str, timeout_s: float) -> dict[str, Any]:
    timeout = httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s))
    return {"timeout": timeout, "follow_redirects": False, "trust_env": not is_this_machine(host)}


def _remove_headers(request: httpx2.Request, has_key: bool) -> None:
    """Remove what the client says about this machine, and the placeholder that it sends for want of a key."""
    unwanted = [name for name in request.headers if name.startswith("x-stainless-") and name != _RETRY_COUNT]
    for name in [*unwanted, *([] if has_key else ["authorization"])]:
        request.headers.pop(name, None)


def post(client: openai.OpenAI, path: str, body: dict[str, Any]) -> bytes:
    """Return the body of the answer to a request; raises `openai.OpenAIError`."""
    return client.post(path, body=body, cast_to=httpx2.Response).content


def get(client: openai.OpenAI, path: str) -> bytes:
    """Return what is there; raises `openai.OpenAIError`."""
    return client.get(path, cast_to=httpx2.Response).content


def attempts_of(request: httpx2.Request) -> int:
    """Return how many times the request was sent, this time included."""
    return int(request.headers.get(_RETRY_COUNT, 0)) + 1


def _limit_body(response: httpx2.Response) -> None:
    response.stream = _Body(response.stream, response.request.extensions[_DEADLINE])


def _status_of(response: httpx2.Response) -> int:
    """Return the status of an answer: the one in its error, where a server sends that with status 200."""
    if response.status_code != HTTPStatus.OK or b'"error"' not in response.content:
        return response.status_code
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return response.status_code
    if not isinstance(body, dict) or body.get("choices"):
        return response.status_code
    error = body.get("error")
    stated = [part.get(name) for part in (error, body) if isinstance(part, dict) for name in ("code", "status", "status_code")]
    return next((int(code) for code in map(str, stated) if _ERROR_STATUS.fullmatch(code)), response.status_code)


def _lengthen_wait(response: httpx2.Response, attempts: int) -> None:
    """Remove a requested wait that is shorter than the client's own: many requests at a time would use up their attempts in it."""
    own_s = min(_BACKOFF_S * 2 ** (attempts - 1), _LONGEST_BACKOFF_S)
    for header, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = response.headers.get(header, "")
        if value.replace(".", "", 1).isdecimal() and float(value) * unit_s < own_s:
            del response.headers[header]
