"""MD5s as DVC computes them, and where its cache has a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ascl_core.artifacts import files_under
from ascl_core.errors import DataError
from tasks.registry.paths import DVC_CACHE
from tasks.repository.remotes import read_settings

OBJECTS = Path("files") / "md5"
"""Where DVC keeps objects in a cache or remote."""


def cache_folder(root: Path) -> Path:
    """Return the absolute path of the repository's DVC cache."""
    return Path(read_settings(root)["cache"].get("dir") or root.resolve() / DVC_CACHE)


def cached_files(root: Path, md5: str) -> dict[str, Path | None]:
    """Return where the cache has the files of an output with that MD5, by their path in it (`""` for a file); None for a missing one.

    Empty if the output is a folder and the cache lacks the list of its files.
    """
    if not md5.endswith(".dir"):
        return {"": _cached(root, md5)}
    listing = _cached(root, md5)
    try:
        entries = json.loads(listing.read_bytes()) if listing else []
        return {str(entry["relpath"]): _cached(root, str(entry["md5"])) for entry in entries}
    except (ValueError, KeyError, TypeError):
        raise DataError("the list of files of an output is damaged", file=listing, hint="remove it, and ascl pull") from None


def _cached(root: Path, md5: str) -> Path | None:
    path = cache_folder(root) / OBJECTS / md5[:2] / md5[2:]
    return path if path.is_file() else None


def md5(path: Path, *, source: bool = False) -> str:
    """Return DVC's MD5 of a file or folder, computed from its current bytes without DVC's database of known ones.

    Of what people write (`source`), without the files that editors and desktops leave, which `.dvcignore` names.
    """
    from dvc_data.hashfile.hash import hash_file
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.fs import LocalFileSystem

    files = LocalFileSystem()
    if path.is_file():
        return str(hash_file(str(path), files, "md5")[1].value)
    tree = Tree()
    for file in files_under(path, source=source):
        meta, found = hash_file(str(file), files, "md5")
        tree.add(file.relative_to(path).parts, meta, found)
    tree.digest()
    return str(tree.oid)


def md5_bytes(content: bytes) -> str:
    """Return DVC's MD5 of a file with these bytes."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def listing_md5(md5s: Mapping[str, str]) -> str:
    """Return DVC's MD5 of a folder, that of its list of files, from the MD5 of each file by path."""
    listed = [{"md5": md5s[path], "relpath": path} for path in sorted(md5s)]
    return md5_bytes(json.dumps(listed, sort_keys=True).encode()) + ".dir"
