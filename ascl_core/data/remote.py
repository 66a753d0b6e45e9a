"""Fetching the object at a URL, such as `s3://bucket/key`: whole, with bounded retries, and one clear error.

Endpoint, region and credentials come from the environment or `~/.aws`, as for every AWS client. No message repeats the text of a failed
request, as it may contain them.
"""

from __future__ import annotations

from typing import Any

from ascl_core.errors import DataError

S3 = "s3://"
DROP = "drop the source"
"""The last resort in hints about a source that a parameter names."""
_RETRIES = {"mode": "standard", "total_max_attempts": 3}
_S3: dict[str, Any] = {
    "config_kwargs": {"retries": _RETRIES, "connect_timeout": 5, "read_timeout": 30},
    "skip_instance_cache": True,  # a cached one would keep the credentials of an earlier environment
}
_S3_READS = 2


def fetch(url: str) -> bytes:
    """Return the bytes of the object; `DataError` names the URL, and what to check."""
    import fsspec

    try:
        if url.startswith(S3):
            return bytes(s3_system().cat_file(url))
        system, path = fsspec.core.url_to_fs(url)
        return bytes(system.cat_file(path))
    except Exception as error:  # of the library that implements the protocol, whichever it is
        raise as_data_error(error, url) from error


def as_data_error(error: Exception, url: str) -> DataError:
    """Return the error for a failed request, with what to check."""
    if isinstance(error, ImportError):
        return DataError(f"needs a package that is not installed: {error}", file=url, hint="install it, or give a local file")
    if isinstance(error, FileNotFoundError):
        return DataError("object does not exist", file=url, hint=f"check the bucket, the key and AWS_ENDPOINT_URL, or {DROP}")
    if isinstance(error, PermissionError):
        hint = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), and that they may read the bucket"
        return DataError("access is denied", file=url, hint=hint)
    hint = "check the URL, the credentials, AWS_ENDPOINT_URL and the network, or give a local file"
    return DataError(f"cannot be fetched ({type(error).__name__})", file=url, hint=hint)


def s3_system(endpoint: str | None = None, region: str | None = None) -> Any:
    """Return the S3 of the environment, or at `endpoint`, as an fsspec file system without caches and with short timeouts."""
    import s3fs

    where = {name: value for name, value in (("endpoint_url", endpoint), ("region_name", region)) if value}
    system = s3fs.S3FileSystem(client_kwargs=where, use_listings_cache=False, **_S3)
    system.retries = _S3_READS
    return system
