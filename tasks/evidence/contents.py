"""The SHA-256 and MD5 of artifacts on disk, each file read once."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ascl_core.artifacts import tree_digest
from tasks.repository.cache import listing_md5

OnBytes = Callable[[int, int], None]
"""Called with the number of bytes that were read, and of all bytes."""
Located = Mapping[str, Mapping[str, Path]]
"""The files of each artifact, by the artifact's path and by their path in it (a file's own is `""`)."""
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class FileContent:
    """One file."""

    sha256: str
    md5: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Content:
    """One artifact."""

    files: Mapping[str, FileContent]
    """By their path in it; a file's own is `""`."""

    @cached_property
    def tree(self) -> dict[str, str]:
        """SHA-256 of each file."""
        return {path: file.sha256 for path, file in self.files.items()}

    @cached_property
    def sha256(self) -> str:
        """As `ascl_core.artifacts.digest` computes it."""
        return tree_digest(self.tree)

    @cached_property
    def md5(self) -> str:
        """As DVC computes it."""
        return self.files[""].md5 if set(self.files) == {""} else listing_md5({path: file.md5 for path, file in self.files.items()})

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files.values())


def read_contents(located: Located, on_bytes: OnBytes) -> dict[str, Content]:
    """Return the content of each artifact; a file that several artifacts share is read once."""
    files = sorted({file for tree in located.values() for file in tree.values()})
    done, total, lock = 0, sum(file.stat().st_size for file in files), threading.Lock()

    def count(number: int) -> None:
        nonlocal done
        with lock:
            done += number
            on_bytes(done, total)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(files, pool.map(lambda file: _read(file, count), files)))
    return {path: Content({name: found[file] for name, file in tree.items()}) for path, tree in located.items()}


def _read(path: Path, count: Callable[[int], None]) -> FileContent:
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
            size += len(chunk)
            count(len(chunk))
    return FileContent(sha256.hexdigest(), md5.hexdigest(), size)
