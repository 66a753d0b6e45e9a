"""How a stage reports its progress: one JSON line per step to the file named by `ASCL_PROGRESS`.

The callers of the supervisor read that file and draw their own progress bars. Without the variable nothing is written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

ENVIRONMENT_VARIABLE = "ASCL_PROGRESS"
_MIN_INTERVAL_S = 0.2

T = TypeVar("T")


@dataclass(frozen=True)
class ProgressEvent:
    """The progress of one named task: `done` of `total` units, at `time_s` (Unix time)."""

    task: str
    done: int
    total: int | None
    note: str = ""
    time_s: float = 0.0


class Progress:
    """Writes `ProgressEvent`s, at most five a second and always the last one."""

    def __init__(self, path: str | Path | None = None) -> None:
        path = path or os.environ.get(ENVIRONMENT_VARIABLE)
        self._path = Path(path) if path else None
        self._last_s = 0.0

    def update(self, task: str, done: int, total: int | None = None, note: str = "") -> None:
        """Report `done` of `total` units of `task`; `note` is a short live figure such as `loss 0.31`."""
        now_s = time.time()
        if self._path is None or (done != total and now_s - self._last_s < _MIN_INTERVAL_S):
            return
        self._last_s = now_s
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(ProgressEvent(task, done, total, note, now_s))) + "\n")

    def track(self, items: Iterable[T], task: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`, reporting after each."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        for done, item in enumerate(items, start=1):
            yield item
            self.update(task, done, total)
