"""Bearer tokens: who may send requests, who may swap the rules, and which addresses are safe without a token."""

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
"""The variable with the clients' token."""
ADMIN_TOKEN = "ASCL_SERVE_ADMIN_TOKEN"
"""The variable with the token for swapping the rules; it is valid for requests, too."""
_FORM = re.compile(r"[!-~]{16,512}")


@dataclass(frozen=True)
class Access:
    """Who is let in. Without a token only this machine can reach the server, and everybody on it may send requests."""

    is_local: bool
    token: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)

    def check(self, authorization: str | None, host: str | None) -> None:
        """Raise `RequestError` unless the sender of these headers may send requests."""
        if self.token is None:
            self._check_host(host)
        elif not _matches(authorization, self.token) and not _matches(authorization, self.admin_token):
            raise RequestError("the bearer token is missing or wrong", 401, code="invalid_api_key", hint=f"send the token in {TOKEN}")

    def check_admin(self, authorization: str | None) -> None:
        """Raise `RequestError` unless the sender of this header, who may send requests, may swap the rules."""
        if self.admin_token is None and not self.is_local:
            raise RequestError("the rules cannot be swapped from here", 403, hint=f"start the server with {ADMIN_TOKEN}")
        if self.admin_token is not None and not _matches(authorization, self.admin_token):
            raise RequestError("swapping the rules needs the admin token", 403, hint=f"send the token in {ADMIN_TOKEN}")

    def _check_host(self, host: str | None) -> None:
        """Refuse DNS rebinding: a web page whose host name resolves to this machine sends that name."""
        if not is_loopback(urlsplit(f"//{host or ''}").hostname or ""):
            raise RequestError("the request is addressed to another host name", 403, hint=f"start the server with {TOKEN}")


def access(host: str) -> Access:
    """Return the access to a server that listens on `host`; its tokens are removed from the environment.

    `ConfigError` if other machines could use the server without a token.
    """
    token, admin_token = _take(TOKEN), _take(ADMIN_TOKEN)
    if token is None and not is_loopback(host):
        hint = f"set {TOKEN} in the environment, or listen on 127.0.0.1"
        raise ConfigError("other machines could use the server without a token", field="--host", value=host, hint=hint)
    if token is not None and token == admin_token:
        raise ConfigError("both tokens are the same", field=ADMIN_TOKEN, hint="use another token for swapping the rules")
    return Access(is_loopback(host), token, admin_token)


def _take(name: str) -> str | None:
    token = os.environ.pop(name, None)
    if token is not None and not _FORM.fullmatch(token):
        raise ConfigError("not a valid token", field=name, hint="16 to 512 printable ASCII characters without spaces")
    return token


def _matches(authorization: str | None, token: str | None) -> bool:
    """Return whether a header has the token; the scheme's name is case-insensitive (RFC 9110, 11.1)."""
    scheme, _, sent = (authorization or "").partition(" ")
    return token is not None and scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), token.encode())
