"""Find credentials in URLs, so that they are refused in configuration and masked in messages."""

from __future__ import annotations

import ipaddress
import re

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
