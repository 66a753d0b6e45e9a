"""The bytes of a place's artifacts as they are now, by SHA-256 and by MD5, each file read once."""

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
"""Told how many bytes are read, and how many there are."""
Located = Mapping[str, Mapping[str, Path]]
"""Where the files of each artifact lie, by the artifact's path and by their path in it (a file's own is `""`)."""
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
        """As `ascl_core.artifacts.digest` has it."""
        return tree_digest(self.tree)

    @cached_property
    def md5(self) -> str:
        """As DVC has it."""
        return self.files[""].md5 if set(self.files) == {""} else listing_md5({path: file.md5 for path, file in self.files.items()})

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files.values())


def read_contents(located: Located, on_bytes: OnBytes) -> dict[str, Content]:
    """What lies there; a file that several artifacts share is read once."""
    files = sorted({file for tree in located.values() for file in tree.values()})
    counter = _Counter(sum(file.stat().st_size for file in files), on_bytes)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(files, pool.map(lambda file: _read(file, counter), files)))
    return {path: Content({name: found[file] for name, file in tree.items()}) for path, tree in located.items()}


class _Counter:
    def __init__(self, total: int, on_bytes: OnBytes) -> None:
        self._done, self._total, self._on_bytes, self._lock = 0, total, on_bytes, threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self._done += number
            self._on_bytes(self._done, self._total)


def _read(path: Path, counter: _Counter) -> FileContent:
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
            size += len(chunk)
            counter.add(len(chunk))
    return FileContent(sha256.hexdigest(), md5.hexdigest(), size)
