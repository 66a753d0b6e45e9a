"""File locks: one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.registry.paths import LOCKS


def lock_file(root: Path, name: str) -> Path:
    """Return the lock of that name in the repository."""
    return root / LOCKS / f"{name}.lock"


def is_locked(lock: Path) -> bool:
    """Return whether a process holds the file locked."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def exclusive(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the file locked for the block; the kernel releases it if the process dies.

    Waits for another process that holds it, or without `wait` raises `BlockingIOError`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
