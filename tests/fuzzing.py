"""Damaged inputs for fuzz targets: valid seeds, changed at random positions by a seeded generator."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

INPUTS = 10_000
_HOSTILE = (
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\n\n", b"\t", b'"', b"'", b"\\", b"\\ud800"),
    *(b"\xe2\x80\xa8", b"1e999", b"-0", b"NaN", b"9" * 5000, b"[" * 2000, b'{"a":' * 2000, b"null", b"true", b"[]", b"{}"),
)


def damaged(seeds: Sequence[bytes], pieces: Sequence[bytes] = (), count: int = INPUTS, seed: int = 7) -> Iterator[bytes]:
    """Yield that many inputs: one to three times a span of a seed is dropped, repeated or replaced by a piece or a span of another seed."""
    draw = random.Random(seed)
    known = (*pieces, *_HOSTILE)
    for _ in range(count):
        content = draw.choice(seeds)
        for _ in range(draw.choice((1, 1, 1, 2, 2, 3))):
            start = draw.randint(0, len(content))
            end = min(len(content), start + draw.choice((0, 0, 0, 1, 1, 2, 4, 8, 40, 400)))
            other = draw.choice(seeds)
            at = draw.randint(0, len(other))
            changed = draw.choice(
                (b"", content[start:end] * 2, draw.choice(known), draw.choice(known), other[at : at + draw.randint(1, 60)])
            )
            content = content[:start] + changed + content[end:]
        yield content
