"""Find credentials in URLs, so that they are refused in configuration and masked in messages."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_PORT = r"\d{1,5}(?:/|$)"
_USER = re.compile(rf"(?P<scheme>[A-Za-z][\w+.-]*)://(?:[^\s/@:]*:(?!{_PORT})[^\s]*|[^\s/@:]+)@")
_QUERY = re.compile(r"(?i)([?&](?:x-amz-\w+|awsaccesskeyid|signature|sig|(?:\w+_)?token|(?:\w+_)?secret|api_?key|key|password)=)[^&\s]+")
_NAMED_USER = ("ssh", "git+ssh", "ssh+git")
"""Schemes in which a user name before the host is no secret."""


def has_credentials(url: str) -> bool:
    """Return whether a URL has a key, a password or a token before its host or in its query.

    >>> [has_credentials(url) for url in ("s3://key:se/cret@bucket", "https://token@host/x", "https://h/x?X-Amz-Signature=1")]
    [True, True, True]
    >>> [has_credentials(url) for url in ("s3://bucket/a@b", "ssh://git@host/x.git", "http://host:9000/a@b", "git@host:x.git")]
    [False, False, False, False]
    """
    return redacted(url) != url


def redacted(text: str) -> str:
    """Return the text with every credential in its URLs masked.

    >>> redacted("cannot read s3://key:secret@bucket/file: denied")
    'cannot read s3://***@bucket/file: denied'
    """
    return _QUERY.sub(r"\1***", _USER.sub(_masked, text)) if "://" in text or "?" in text else text


def without_credentials(url: str) -> str:
    """Return the URL without the key, the password or the token before its host; one in its query is masked.

    >>> without_credentials("https://token@host/x.git"), without_credentials("git@host:x.git")
    ('https://host/x.git', 'git@host:x.git')
    """
    return redacted(url).replace("://***@", "://")


def _masked(match: re.Match[str]) -> str:
    whole, scheme = match[0], match["scheme"]
    named = scheme.lower() in _NAMED_USER and ":" not in whole.removeprefix(f"{scheme}://")
    return whole if named or whole.endswith("://***@") else f"{scheme}://***@"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_this_machine(host: str) -> bool:
    """Return whether a client that connects to the address reaches this machine: a loopback address, or `0.0.0.0` and `::`.

    >>> [is_this_machine(host) for host in ("127.0.0.2", "[::1]", "0.0.0.0", "LOCALHOST", "example.org")]
    [True, True, True, True, False]
    """
    host = host.strip("[]").lower()
    return is_loopback(host) or host in ("0.0.0.0", "::")


def is_address(url: str) -> bool:
    """Return whether a client can connect to the URL: http(s) with a host, a valid port, no credentials and no spaces.

    >>> [is_address(url) for url in ("http://[::1]:8000/v1", "http://host:42a", "http://host/api ", "ftp://host", "http://a:b@host")]
    [True, False, False, False, False]
    """
    try:
        parts = urlsplit(url)
        return (
            url.isprintable()
            and " " not in url
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.port != 0
        )
    except ValueError:
        return False
