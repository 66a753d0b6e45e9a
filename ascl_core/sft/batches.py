"""Long work in batches: each finished batch is kept in a file, so that a killed run continues after the last of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ascl_core.artifacts import read_json, sha256_json, write_json

T = TypeVar("T")
_SEED_BYTES = 4


@dataclass(frozen=True)
class Batches:
    """A folder of finished batches."""

    folder: Path
    size: int
    """Items of one batch."""

    def run(self, items: Sequence[T], work: Callable[[Sequence[T]], list[Any]], *, key: Callable[[T], Any], inputs: Any) -> Iterator[Any]:
        """Yield the result of every item, in order; `work` is called only for batches that are not in the folder.

        Results, keys and inputs are JSON values. A batch is found again by its keys and by `inputs`, which is everything else that
        its results follow from: the model, the sampling, the instructions.
        """
        digest = sha256_json(inputs)
        for start in range(0, len(items), self.size):
            batch = items[start : start + self.size]
            file = self.folder / f"{sha256_json([digest, [key(item) for item in batch]])}.json"
            if not file.exists():
                write_json(file, work(batch))
            yield from read_json(file)


def seed_of(*parts: Any) -> int:
    """Return a sampling seed below 2^31 that follows from the parts alone, such as a configured seed and the id of a prompt.

    >>> seed_of(0, "a") == seed_of(0, "a") != seed_of(0, "b")
    True
    """
    return int.from_bytes(hashlib.sha256(sha256_json(list(parts)).encode()).digest()[:_SEED_BYTES]) >> 1
