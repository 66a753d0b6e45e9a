"""Where the prompts of a source stand: what a path in the parameters means on this machine."""

from __future__ import annotations

import os
from string import Template

from ascl_core.errors import DataError
from ascl_core.urls import has_credentials

DEFAULT_EXTERNAL_DATA = "../shared/data"
_HUB = "hub:"


def expand(path: str) -> str:
    """The path with `$VARIABLES` and `~` filled in; `DataError` names a variable that is not set, and refuses a URL with credentials."""
    values = {"ASCL_EXTERNAL_DATA": DEFAULT_EXTERNAL_DATA, **os.environ}
    try:
        place = os.path.expanduser(Template(path).substitute(values))  # noqa: PTH111
    except (KeyError, ValueError) as error:
        raise DataError(f"cannot expand {error}", file=path, hint="set the variable, or write the path out") from error
    if has_credentials(place):
        hint = "leave them out of the URL, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise DataError("a URL with credentials in it", file=path, hint=hint)
    return place


def hub_id(place: str) -> str | None:
    """The hub id that an expanded path gives (`hub:owner/name`), if it gives one."""
    return place.removeprefix(_HUB) if place.startswith(_HUB) else None


def is_url(place: str) -> bool:
    """Whether an expanded path names an object behind a URL, such as `s3://bucket/key`."""
    return "://" in place


def local_path(path: str) -> str | None:
    """The file or folder of this machine that a path means, whether or not it exists; None for a hub id and a URL.

    Raises what `expand` raises.
    """
    place = expand(path)
    return None if hub_id(place) is not None or is_url(place) else place
