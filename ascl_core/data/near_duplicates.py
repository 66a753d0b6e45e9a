"""Near-duplicates by MinHash over character 5-grams (`rensa`).

MinHash proposes and the shingles decide: what is dropped has the similarity asked for, exactly, whatever hash functions the library
has. What is missed is what no band of the index shares (see `bands`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from ascl_core.data.raw_prompt import normalise

_SHINGLE_CHARS = 5
_SEED = 1
_HASH = np.dtype("<u4")
MAX_MISS = 1e-3
"""The most probable that a pair of just the similarity asked for shares no band, where the number of permutations can do it."""


def signatures(texts: Sequence[str], permutations: int) -> list[bytes]:
    """Return the MinHash signature of each text: its hashes as little-endian 32-bit numbers, so that any program can read a stored one.

    A text's signature depends on nothing but the text.
    """
    from rensa import RMinHash

    digests = RMinHash.digests_from_token_sets([shingles(text) for text in texts], permutations, _SEED)
    return [np.array(digest, dtype=_HASH).tobytes() for digest in digests]


class NearDuplicates:
    """The texts kept so far, of each group apart: about 1.5 kB and the text itself for each."""

    def __init__(self, similarity: float, permutations: int) -> None:
        self._similarity = similarity
        self._bands = bands(similarity, permutations)
        self._band_bytes = permutations // self._bands * _HASH.itemsize
        self._last: dict[int, int] = {}
        """The number of the last kept text with a band, by the hash of the band."""
        self._earlier = array("q")
        """For each kept text and each of its bands the number of the kept text before it with that band; -1 without one."""
        self._kept: list[tuple[str, str | None]] = []

    def find(self, text: str, signature: bytes, group: str | None = None) -> str | None:
        """Return an earlier kept text of the group of at least that Jaccard similarity; keep the text and return None if there is none."""
        keys = [hash((band, signature[band * self._band_bytes : (band + 1) * self._band_bytes])) for band in range(self._bands)]
        last = [self._last.get(key, -1) for key in keys]
        if (near := self._nearest(text, sorted(self._sharing(last)), group)) is not None:
            return near
        self._last.update(dict.fromkeys(keys, len(self._kept)))
        self._earlier.extend(last)
        self._kept.append((text, group))
        return None

    def _sharing(self, last: Sequence[int]) -> set[int]:
        """Return the numbers of the kept texts that share a band, of each of which the last one is given."""
        found = set()
        for band, number in enumerate(last):
            while number >= 0:
                found.add(number)
                number = self._earlier[number * self._bands + band]
        return found

    def _nearest(self, text: str, candidates: Iterable[int], group: str | None) -> str | None:
        for number in candidates:
            other, its_group = self._kept[number]
            if its_group == group and jaccard(shingles(text), shingles(other)) >= self._similarity:
                return other
        return None


def bands(similarity: float, permutations: int) -> int:
    """The fewest bands of the signature with which a pair of that similarity is missed at most once in 1,000.

    A pair of Jaccard similarity s shares none of b bands of r rows with probability (1 - s^r)^b (Leskovec, Rajaraman and Ullman,
    Mining of Massive Datasets, section 3.4.2).

    >>> bands(0.9, 128), bands(0.8, 128), bands(1.0, 128)
    (16, 32, 1)
    """
    divisors = [b for b in range(1, permutations + 1) if permutations % b == 0]
    return next((b for b in divisors if (1 - similarity ** (permutations // b)) ** b <= MAX_MISS), permutations)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """What the two share of what either has; of sets that are not empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


@lru_cache(maxsize=1024)  # one kept text may be compared with thousands that are like it
def shingles(text: str) -> frozenset[str]:
    """What texts are compared by: every run of 5 characters of the normalised text; a shorter one is its own."""
    plain = normalise(text)
    return frozenset([plain[i : i + _SHINGLE_CHARS] for i in range(max(1, len(plain) - _SHINGLE_CHARS + 1))])
