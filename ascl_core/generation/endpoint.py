"""An OpenAI-compatible chat endpoint over plain HTTP: retries with backoff, and a key that no message ever shows.

The key is read from `OPENAI_API_KEY` at each request; a local server needs none. Redirects are not followed,
since they would carry the key to another host.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ascl_core.contracts import Message
from ascl_core.errors import AsclError, ConfigError, ModelError

KEY_VARIABLE = "OPENAI_API_KEY"
DEFAULT_URL = "https://api.openai.com/v1"
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 60.0
_LATE_ATTEMPTS = 2
"""The number of late answers after which the request is given up: each has cost the whole time limit."""
_CHUNK_BYTES = 1 << 16


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none."""


class _Retry(Exception):
    """A failure that may pass; never leaves this module."""

    def __init__(self, problem: str, wait_s: float = 0.0, late: bool = False) -> None:
        super().__init__(problem)
        self.wait_s = wait_s
        self.late = late


@dataclass(frozen=True)
class Endpoint:
    """One model behind one endpoint."""

    model: str
    base_url: str = DEFAULT_URL
    error: type[AsclError] = ModelError
    """The error of a failure."""
    late_error: type[AsclError] | None = None
    """The error of an answer that is late each time; None takes `error`."""
    timeout_s: float = 120.0
    """The time limit of one answer."""
    attempts: int = 5
    backoff_s: float = 1.0
    """The wait before the second attempt; it doubles with each further one."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ConfigError("not an http(s) address without credentials", field="base_url", hint="such as http://127.0.0.1:8000/v1")

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.base_url).netloc

    def chat(self, messages: Sequence[Message], **options: Any) -> Message:
        """Return the reply to the messages, with its `finish_reason`; `options` are further fields of the request.

        Raises `error` where the endpoint cannot be reached, refuses, or answers with no chat completion, and `late_error` where
        it accepts the request and is late with the answer, twice.
        """
        body = json.dumps({"model": self.model, "messages": list(messages), **options}).encode()
        problem, late = "", 0
        for attempt in range(self.attempts):
            try:
                return self._reply(self._post(body))
            except _Retry as failure:
                problem = str(failure)
                late += failure.late
                if late == _LATE_ATTEMPTS:
                    raise (self.late_error or self.error)(
                        f"{problem}, {late} times", file=self.host, field=self.model, hint="raise the time limit, or relieve the server"
                    ) from None
                if attempt + 1 < self.attempts:
                    time.sleep(min(max(self.backoff_s * 2**attempt, failure.wait_s), _LONGEST_WAIT_S))
        raise self._failure(f"{problem}, {self.attempts} times", "is the server up? raise its limits, or try again later")

    def _post(self, body: bytes) -> bytes:
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        key = os.environ.get(KEY_VARIABLE)
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            request = urllib.request.Request(url, data=body, headers=headers, method="POST")
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=self.timeout_s) as response:
                return _read(response, time.monotonic() + self.timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                problem = f"HTTP {error.code}: {self._shown(error.read(2000))}"
                if error.code in _RETRIED:
                    raise _Retry(problem, _seconds(error.headers.get("Retry-After"))) from None
            raise self._failure(problem, f"check {KEY_VARIABLE}, base_url and model") from None
        except TimeoutError:
            raise _Retry(f"no answer within {self.timeout_s:g} s", late=True) from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise _Retry(f"no answer: {getattr(error, 'reason', None) or type(error).__name__}") from None
        except ValueError:
            raise self._failure("the key cannot be sent as a header", f"set {KEY_VARIABLE} to the key alone, without line breaks") from None

    def _reply(self, content: bytes) -> Message:
        try:
            choice = json.loads(content)["choices"][0]
            return {**choice["message"], "finish_reason": choice.get("finish_reason")}
        except (ValueError, LookupError, TypeError, AttributeError):
            problem = f"no chat completion: {self._shown(content[:2000])}"
            raise self._failure(problem, "base_url must be that of an OpenAI-compatible server") from None

    def _shown(self, content: bytes) -> str:
        text = " ".join(content.decode("utf-8", "replace").split())
        key = os.environ.get(KEY_VARIABLE)
        return (text.replace(key, "…") if key else text)[:200]

    def _failure(self, problem: str, hint: str) -> AsclError:
        return self.error(problem, file=self.host, field=self.model, hint=hint)


def _read(response: http.client.HTTPResponse, deadline_s: float) -> bytes:
    """Return the body; `TimeoutError` where it still arrives after the deadline, which a socket's own time limit does not see."""
    parts = []
    while part := response.read1(_CHUNK_BYTES):
        if time.monotonic() > deadline_s:
            raise TimeoutError
        parts.append(part)
    if response.length:
        raise http.client.IncompleteRead(b"".join(parts), response.length)
    return b"".join(parts)


def _seconds(value: str | None) -> float:
    """Return the seconds of a Retry-After header; 0 where it is missing or a date."""
    try:
        return max(0.0, float(value or 0))
    except ValueError:
        return 0.0
