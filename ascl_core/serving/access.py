"""Who may ask, and who may swap the rules: bearer tokens out of the environment, and what may listen without them."""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ascl_core.errors import ConfigError
from ascl_core.serving.problems import RequestError
from ascl_core.urls import is_loopback

TOKEN = "ASCL_SERVE_TOKEN"
"""The variable with the token of those who ask."""
ADMIN_TOKEN = "ASCL_SERVE_ADMIN_TOKEN"
"""The variable with the token of those who swap the rules; it lets them ask, too."""
_FORM = re.compile(r"[!-~]{16,512}")
_BEARER = "Bearer "


@dataclass(frozen=True)
class Access:
    """Who is let in. Without a token only this machine can reach the server, and everybody on it may ask."""

    is_local: bool
    token: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)

    def check(self, authorization: str | None, host: str | None) -> None:
        """`RequestError` unless whoever sent these headers may ask."""
        if self.token is None:
            self._check_is_for_us(host)
        elif not _same(authorization, self.token) and not _same(authorization, self.admin_token):
            raise RequestError("the bearer token is missing or wrong", 401, code="invalid_api_key", hint=f"send that of {TOKEN}")

    def check_admin(self, authorization: str | None) -> None:
        """`RequestError` unless whoever sent this header, and may ask, may swap the rules."""
        if self.admin_token is None and not self.is_local:
            raise RequestError("the rules cannot be swapped from here", 403, hint=f"start the server with {ADMIN_TOKEN}")
        if self.admin_token is not None and not _same(authorization, self.admin_token):
            raise RequestError("swapping the rules needs a token of its own", 403, hint=f"send that of {ADMIN_TOKEN}")

    def _check_is_for_us(self, host: str | None) -> None:
        """A page in a browser of this machine may have its own name resolve to it; then the name in the request is not ours."""
        if not is_loopback(urlsplit(f"//{host or ''}").hostname or ""):
            raise RequestError("the request names another host than this machine", 403, hint=f"start the server with {TOKEN}")


def access(host: str) -> Access:
    """The access to a server that listens at `host`, with the tokens of the environment, which are taken out of it.

    `ConfigError` where the server would be open to others.
    """
    token, admin_token = _take(TOKEN), _take(ADMIN_TOKEN)
    if token is None and not is_loopback(host):
        hint = f"set {TOKEN} in the environment, or listen at 127.0.0.1"
        raise ConfigError("everybody who reaches this address could ask", field="--host", value=host, hint=hint)
    if token is not None and token == admin_token:
        raise ConfigError("both tokens are the same", field=ADMIN_TOKEN, hint="give those who swap the rules a token of their own")
    return Access(is_loopback(host), token, admin_token)


def _take(name: str) -> str | None:
    token = os.environ.pop(name, None)
    if token is not None and not _FORM.fullmatch(token):
        raise ConfigError("no token that can be used", field=name, hint="16 to 512 printable ASCII characters without spaces")
    return token


def _same(authorization: str | None, token: str | None) -> bool:
    if authorization is None or token is None or not authorization.startswith(_BEARER):
        return False
    return hmac.compare_digest(authorization.removeprefix(_BEARER).encode(), token.encode())
