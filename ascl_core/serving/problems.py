"""What a client did wrong, or cannot have now, in the form in which OpenAI's API says it."""

from __future__ import annotations

from typing import Any

from ascl_core.errors import AsclError

_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RequestError(AsclError):
    """A request that is refused; `field` is the parameter that is wrong."""

    def __init__(self, problem: str, status: int = 400, *, code: str | None = None, retry_after_s: int | None = None, **told: Any) -> None:
        super().__init__(problem, **told)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        wait = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return {**wait, "WWW-Authenticate": "Bearer"} if self.status == 401 else wait

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        message = f"{self.problem}; {self.hint}" if self.hint else self.problem
        kind = _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": message, "type": kind, "param": self.field, "code": self.code}}
