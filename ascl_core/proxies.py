"""The proxies that the environment names, checked before a client is made: the clients themselves fail with errors of many kinds."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies

from ascl_core.errors import ConfigError
from ascl_core.urls import redacted

_SOCKS = ("socks5", "socks5h")


def check_proxies() -> None:
    """Raise `ConfigError` unless a client can use each proxy in `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY`."""
    proxies = getproxies()
    for scheme in ("http", "https", "all"):
        url = proxies.get(scheme, "")
        if url and (problem := _problem_of(url if "://" in url else f"http://{url}")):
            name = f"{scheme.upper()}_PROXY"
            raise ConfigError(problem, field=name, value=redacted(url), hint=f"unset {name}, or set it to http://HOST:PORT")


def _problem_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0 or not url.isprintable() or " " in url:
            return "not the address of a proxy"
    except ValueError as error:
        return f"not the address of a proxy: {error}"
    if parts.scheme in _SOCKS and find_spec("socksio") is None:
        return "a SOCKS proxy needs the package socksio, which is not installed"
    return None if parts.scheme in ("http", "https", *_SOCKS) else f"a proxy cannot be of the kind {parts.scheme}"
