"""Errors of requests, in the form of OpenAI's API."""

from __future__ import annotations

from typing import Any

from ascl_core.errors import AsclError
from ascl_core.text import encodable

_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RequestError(AsclError):
    """A refused request; `field` is the parameter at fault."""

    def __init__(
        self, problem: str, status: int = 400, *, code: str | None = None, retry_after_s: int | None = None, **details: Any
    ) -> None:
        super().__init__(problem, **details)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        wait = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return {**wait, "WWW-Authenticate": "Bearer"} if self.status == 401 else wait

    def to_json(self) -> dict[str, Any]:
        """Return the body of the response."""
        message = f"{self.problem}; {self.hint}" if self.hint else self.problem
        kind = _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": encodable(message), "type": kind, "param": self.field, "code": self.code}}
