"""Fetching an object behind a URL, such as `s3://bucket/key`: whole, with bounded retries, and one clear error.

Endpoint, region and credentials are those of the environment or of `~/.aws`, as for every AWS client. No message repeats
what a failed request says, as that may carry them.
"""

from __future__ import annotations

from typing import Any

from ascl_core.errors import DataError

_RETRIES = {"mode": "standard", "total_max_attempts": 3}
_S3: dict[str, Any] = {
    "config_kwargs": {"retries": _RETRIES, "connect_timeout": 5, "read_timeout": 30},
    "skip_instance_cache": True,  # a cached one would keep the credentials of an earlier environment
}
_S3_READS = 2


def fetch(url: str) -> bytes:
    """The object's bytes; `DataError` names the URL, and what to check."""
    try:
        return _cat(url)
    except ImportError as error:
        raise DataError(f"needs a package that is not installed: {error}", file=url, mend="install it, or give a local file") from error
    except FileNotFoundError as error:
        mend = "check the bucket, the key and AWS_ENDPOINT_URL, or drop the source"
        raise DataError("object does not exist", file=url, mend=mend) from error
    except PermissionError as error:
        mend = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), and that they may read the bucket"
        raise DataError("access is denied", file=url, mend=mend) from error
    except Exception as error:  # of whichever library speaks the protocol
        mend = "check the URL, the credentials, AWS_ENDPOINT_URL and the network, or give a local file"
        raise DataError(f"cannot be fetched ({type(error).__name__})", file=url, mend=mend) from error


def _cat(url: str) -> bytes:
    import fsspec

    on_s3 = url.startswith("s3://")
    system, path = fsspec.core.url_to_fs(url, **(_S3 if on_s3 else {}))
    if on_s3:
        system.retries = _S3_READS
    content = system.cat_file(path)
    return bytes(content)
