"""Files by the names that DVC gives them: their MD5s, and where its cache has them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from ascl_core.errors import DataError
from tasks.repository.remotes import read_settings


def cached_files(root: Path, md5: str) -> dict[str, Path | None]:
    """Where the cache has the files of an output of that MD5, by their path in it (a file's own is `""`); None for one that it lacks.

    Empty where the output is a folder and the cache lacks the list of its files.
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
    folder = os.path.normpath(root.resolve() / ".dvc" / read_settings(root).get("cache", {}).get("dir", "cache"))
    path = Path(folder) / "files" / "md5" / md5[:2] / md5[2:]
    return path if path.is_file() else None


def md5(path: Path) -> str:
    """What DVC calls the MD5 of a file or folder, of its bytes as they are now: no memory of earlier times is asked."""
    from dvc_data.hashfile.hash import hash_file
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.fs import LocalFileSystem

    files = LocalFileSystem()
    if path.is_file():
        return str(hash_file(str(path), files, "md5")[1].value)
    tree = Tree()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            meta, found = hash_file(str(file), files, "md5")
            tree.add(file.relative_to(path).parts, meta, found)
    tree.digest()
    return str(tree.oid)


def listing_md5(md5s: Mapping[str, str]) -> str:
    """What DVC calls the MD5 of a folder, of the MD5 of each of its files by path: that of the list of them."""
    listed = [{"md5": md5s[path], "relpath": path} for path in sorted(md5s)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
