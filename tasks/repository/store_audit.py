"""Looking at every object of the store: one that was lost or cut off there is sent again by whoever has it.

DVC takes the files of a folder for present where the store has the folder's list (`….dir`), and any object for whole. A store from
which objects were lost is therefore fixed in two steps: what is not as it is here is taken away, and so is each list that names
it; the next push then sends all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ascl_core.data.remote import S3, as_data_error, s3_system
from tasks.repository import dvc_lock
from tasks.repository.remotes import Remote, read_remote, read_settings

_OBJECTS = Path("files") / "md5"


def forget_what_is_not_whole(root: Path) -> list[str]:
    """Take from the store each object that is not as its copy here, and each list of a folder with a lost one; the digests of those
    files. Only what `dvc.lock` names and the cache has is looked at; nothing is done where the remote is no S3."""
    remote = read_remote(root)
    if remote is None or not remote.on_s3:
        return []
    cache = (root / ".dvc" / read_settings(root).get("cache", {}).get("dir", "cache")).resolve() / _OBJECTS
    there = _sizes(remote)
    spoilt: list[str] = []
    for top in _recorded(root):
        names = [top, *_listed(cache / top[:2] / top[2:])]
        here = {name: _size(cache / name[:2] / name[2:]) for name in names}
        lost = [name for name, size in here.items() if size is not None and there.get(name) != size]
        if lost:
            _remove(remote, {name for name in (*lost, top) if name in there})
            spoilt += lost
    return sorted(set(spoilt))


def _recorded(root: Path) -> list[str]:
    """The digest of each output in `dvc.lock`."""
    return [out["md5"] for entry in dvc_lock.recorded(root).values() for out in entry.get("outs", ()) if "md5" in out]


def _listed(path: Path) -> list[str]:
    """The digests of a folder's files; none for a file, or for a list that is not here."""
    if path.suffix != ".dir" or not path.exists():
        return []
    return [str(entry["md5"]) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _sizes(remote: Remote) -> dict[str, int]:
    """The size of each object of the store, by its digest."""
    prefix = f"{remote.url.removeprefix(S3)}/{_OBJECTS.as_posix()}"
    try:
        found = s3_system(remote.endpoint, remote.region).find(prefix, detail=True)
    except Exception as error:  # of whichever layer of the client
        raise as_data_error(error, remote.url) from error
    return dict(_by_digest({name.removeprefix(f"{prefix}/"): int(entry["size"]) for name, entry in found.items()}))


def _by_digest(sizes: dict[str, int]) -> Iterator[tuple[str, int]]:
    for name, size in sizes.items():
        yield name.replace("/", ""), size


def _remove(remote: Remote, digests: set[str]) -> None:
    system = s3_system(remote.endpoint, remote.region)
    for digest in sorted(digests, reverse=True):
        try:
            system.rm_file(f"{remote.url}/{_OBJECTS.as_posix()}/{digest[:2]}/{digest[2:]}")
        except Exception as error:  # of whichever layer of the client
            raise as_data_error(error, remote.url) from error
