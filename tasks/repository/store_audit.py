"""The audit of a store: an object that was lost or truncated there is sent again by a machine that has it.

DVC takes the files of a folder as present if the store has the folder's list (`….dir`), and any object as whole. So a damaged store is
repaired in two steps: this module deletes each damaged object and each list that names one, and the next push sends them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ascl_core.data.remote import S3, as_data_error, s3_system
from tasks.repository.cache import OBJECTS, cache_folder
from tasks.repository.remotes import Remote, read_remote


def delete_damaged_objects(root: Path, recorded: Iterable[str]) -> list[str]:
    """Delete each object of the store that differs in size from its copy in the cache, and the list of a folder with one.

    Returns the digests of the damaged files. Only the outputs with the digests `recorded` that the cache has are compared, and only in a
    store on S3.
    """
    remote = read_remote(root)
    if remote is None or not remote.on_s3:
        return []
    cache, stored = cache_folder(root).resolve() / OBJECTS, stored_sizes(remote)
    damaged: list[str] = []
    for top in sorted(set(recorded)):
        names = [top, *_listed(cache / top[:2] / top[2:])]
        sizes = {name: path.stat().st_size for name in names if (path := cache / name[:2] / name[2:]).exists()}
        lost = [name for name, size in sizes.items() if stored.get(name) != size]
        if lost:
            _delete(remote, {name for name in (*lost, top) if name in stored})
            damaged += lost
    return sorted(set(damaged))


def _listed(path: Path) -> list[str]:
    """Return the digests of a folder's files; none for a file, or for a list that the cache lacks."""
    if path.suffix != ".dir" or not path.exists():
        return []
    return [str(entry["md5"]) for entry in json.loads(path.read_text(encoding="utf-8"))]


def stored_sizes(remote: Remote) -> dict[str, int]:
    """Return the size in bytes of each object of a store on S3, by its digest; `DataError` if it does not answer."""
    prefix = f"{remote.url.removeprefix(S3)}/{OBJECTS.as_posix()}"
    try:
        found = s3_system(remote.endpoint, remote.region).find(prefix, detail=True)
    except Exception as error:  # from any layer of the client
        raise as_data_error(error, remote.url) from error
    return {name.removeprefix(f"{prefix}/").replace("/", ""): int(entry["size"]) for name, entry in found.items()}


def _delete(remote: Remote, digests: set[str]) -> None:
    system = s3_system(remote.endpoint, remote.region)
    for digest in sorted(digests, reverse=True):
        try:
            system.rm_file(f"{remote.url}/{OBJECTS.as_posix()}/{digest[:2]}/{digest[2:]}")
        except Exception as error:  # from any layer of the client
            raise as_data_error(error, remote.url) from error
