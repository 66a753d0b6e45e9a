"""The jinja templates of the pages, with their shared filters."""

from __future__ import annotations

from typing import Any

from ascl_core.report import wording
from ascl_core.text import counted

_FILTERS = (
    *("percent", "number", "share_interval", "number_interval", "figure", "points", "points_interval", "duration", "short", "markdown"),
)


def templates() -> Any:
    """Return the templates; they escape every value, because rules and model text are untrusted."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ascl_core", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({"counted": counted} | {name: getattr(wording, name) for name in _FILTERS})
    return environment
