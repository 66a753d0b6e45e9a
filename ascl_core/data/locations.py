"""Locations of sources: what a path in the parameters means on this machine.

Public files are in the folder that `$ASCL_EXTERNAL_DATA` names, by default `data/external` in the repository, which git ignores;
`ascl data fetch` downloads them there.
"""

from __future__ import annotations

import os
from pathlib import Path
from string import Template

from ascl_core.catalogue import dataset, names
from ascl_core.catalogue.dataset import Dataset
from ascl_core.config.sources import SourceConfig, hub_path
from ascl_core.errors import DataError
from ascl_core.urls import has_credentials

EXTERNAL = "$ASCL_EXTERNAL_DATA"
"""How a path in the parameters names the folder with the public files."""
DEFAULT_EXTERNAL_DATA = "data/external"
_HUB = "hub:"


def expand(path: str) -> str:
    """Expand `$VARIABLES` and `~`; `DataError` names a variable that is not set, and refuses a URL with credentials."""
    values = {**os.environ, "ASCL_EXTERNAL_DATA": os.environ.get("ASCL_EXTERNAL_DATA") or DEFAULT_EXTERNAL_DATA}
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


def locate(source: SourceConfig) -> str | None:
    """Return where the source is read from: its expanded path, or for a public data set the files that were fetched of its hub page.

    None without a path. Raises what `expand` raises.
    """
    if source.path is None:
        return None
    fetched = fetched_folder(source)
    return str(fetched) if fetched is not None and is_own_page(source) and split_files(fetched, source) else expand(source.path)


def local_path(source: SourceConfig) -> str | None:
    """Return the local file or folder that a source is read from, whether or not it exists; None for a hub id and a URL.

    Raises what `expand` raises.
    """
    location = locate(source)
    return None if location is None or hub_id(location) is not None or is_url(location) else location


def is_own_page(source: SourceConfig) -> bool:
    """Return whether the source is a public data set on its own page of the hub, at the catalogue's revision."""
    known = _known(source)
    return known is not None and known.hub is not None and source.path == hub_path(known) and source.revision == known.hub.revision


def fetched_folder(source: SourceConfig) -> Path | None:
    """Return the folder in which `ascl data fetch` puts the files of a public data set; None for other sources."""
    known = _known(source)
    return None if known is None else Path(expand(EXTERNAL)) / (known.folder or source.format)


def pin_hint(source: SourceConfig) -> str:
    """Return how to read a source whose path is a hub id without a revision."""
    folder = fetched_folder(source)
    local = f"put its files into {folder}" if folder is not None and is_own_page(source) else "give a local path"
    page = f"https://huggingface.co/datasets/{hub_id(str(source.path))}/commits/main"
    return f"add `revision: COMMIT` to the source, with a commit that {page} shows; or {local}"


def split_files(folder: Path, source: SourceConfig) -> list[str]:
    """Return the files of the public data set's split in a folder, under the first of their usual names that is there."""
    patterns = dataset(source.format).files.get(source.hub_split, ())
    return next(([str(file) for file in found] for pattern in patterns if (found := sorted(folder.glob(pattern)))), [])


def patterns_of(folder: Path, source: SourceConfig) -> tuple[str, ...]:
    """Return the usual names of the files of the public data set's split in a folder; `DataError` for a split that it does not have."""
    by_split = dataset(source.format).files
    if source.hub_split not in by_split:
        hint = f"hub_split is one of {', '.join(by_split)}; or give a file"
        raise DataError(f"{source.format} has no such split", file=folder, field=source.name, value=source.hub_split, hint=hint)
    return by_split[source.hub_split]


def _known(source: SourceConfig) -> Dataset | None:
    return dataset(source.format) if source.format in names() else None
