"""Locations of sources: what a path in the parameters means on this machine."""

from __future__ import annotations

import os
from string import Template

from ascl_core.errors import DataError
from ascl_core.urls import has_credentials

DEFAULT_EXTERNAL_DATA = "../shared/data"
_HUB = "hub:"


def expand(path: str) -> str:
    """Expand `$VARIABLES` and `~`; `DataError` names a variable that is not set, and refuses a URL with credentials."""
    values = {"ASCL_EXTERNAL_DATA": DEFAULT_EXTERNAL_DATA, **os.environ}
    try:
        location = os.path.expanduser(Template(path).substitute(values))  # noqa: PTH111
    except (KeyError, ValueError) as error:
        raise DataError(f"cannot expand {error}", file=path, hint="set the variable, or write the path out") from error
    if has_credentials(location):
        hint = "leave them out of the URL, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise DataError("a URL with credentials in it", file=path, hint=hint)
    return location


def hub_id(location: str) -> str | None:
    """Return the hub id in an expanded path (`hub:owner/name`), if it has one."""
    return location.removeprefix(_HUB) if location.startswith(_HUB) else None


def is_url(location: str) -> bool:
    """Return whether an expanded path is a URL, such as `s3://bucket/key`."""
    return "://" in location


def local_path(path: str) -> str | None:
    """Return the local file or folder that a path means, whether or not it exists; None for a hub id and a URL.

    Raises what `expand` raises.
    """
    location = expand(path)
    return None if hub_id(location) is not None or is_url(location) else location
