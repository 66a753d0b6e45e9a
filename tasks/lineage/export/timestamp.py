"""A time from somebody else (RFC 3161): proof that bytes existed then, which does not rest on this machine's clock or on our keys."""

from __future__ import annotations

import hashlib

import httpx
from rfc3161_client import HashAlgorithm, PKIStatus, TimestampRequestBuilder, decode_timestamp_response

from ascl_core.errors import DataError
from ascl_core.proxies import check_proxies

VARIABLE = "ASCL_TIMESTAMP_URL"
"""The environment variable that names a timestamp authority."""
_TIMEOUT_S = 30.0


def timestamp(content: bytes, url: str) -> bytes:
    """Return the authority's reply about the SHA-256 of these bytes, in DER, as `openssl ts -verify` reads it.

    It is checked to be about these bytes and to answer this request; whether to trust the authority is for those who verify it.
    `DataError` if the authority does not answer, or with anything else.
    """
    request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()
    headers = {"Content-Type": "application/timestamp-query"}
    check_proxies()
    try:
        answer = httpx.post(url, content=request.as_bytes(), headers=headers, timeout=_TIMEOUT_S).raise_for_status()
        reply = decode_timestamp_response(answer.content)
        granted = reply.status in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS)
        info = reply.tst_info if granted else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _refused(f"gave no timestamp: {error}", url) from None
    if info is None:
        raise _refused(f"refused a timestamp, with the status {reply.status}", url)
    if info.message_imprint.message != hashlib.sha256(content).digest() or info.nonce != request.nonce:
        raise _refused("gave a timestamp of something else", url)
    return answer.content


def _refused(problem: str, url: str) -> DataError:
    return DataError(problem, field=VARIABLE, value=url, hint=f"try again, name another authority, or unset {VARIABLE}")
