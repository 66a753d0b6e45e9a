"""Near-duplicates by MinHash over character 5-grams (`rensa`).

MinHash proposes and the shingles decide: the similarity of what is dropped is exact, whatever hash functions the library uses. A pair
that shares no band of the index is missed (see `bands`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ascl_core.data.raw_prompt import normalise

_SHINGLE_CHARS = 5
_SEED = 1
MAX_MISS = 1e-3
"""The highest probability to miss a pair at the similarity threshold, if the number of permutations allows it."""


def signatures(texts: Sequence[str], permutations: int) -> list[bytes]:
    """Return the MinHash signature of each text, as `NearDuplicates.find` takes it; it depends on the text alone."""
    from rensa import RMinHash

    return [minhash.__getstate__() for minhash in RMinHash.from_token_sets([shingles(text) for text in texts], permutations, _SEED)]


class NearDuplicates:
    """The texts kept so far, by group: about 1.3 kB and the text itself for each."""

    def __init__(self, similarity: float, permutations: int) -> None:
        from rensa import RMinHashLSH

        self._similarity, self._permutations = similarity, permutations
        self._index = RMinHashLSH(similarity, permutations, bands(similarity, permutations))
        self._kept: list[tuple[str, str | None]] = []

    def find(self, text: str, signature: bytes, group: str | None = None) -> str | None:
        """Return a kept text of the group whose Jaccard similarity reaches the threshold; if there is none, keep this one, return None."""
        from rensa import RMinHash

        minhash = RMinHash(self._permutations, _SEED)
        minhash.__setstate__(signature)  # the library's own bytes, no pickle
        for number in sorted(self._index.query(minhash)):
            other, its_group = self._kept[number]
            if its_group == group and jaccard(shingles(text), shingles(other)) >= self._similarity:
                return other
        self._index.insert(len(self._kept), minhash)
        self._kept.append((text, group))
        return None


def bands(similarity: float, permutations: int) -> int:
    """Return the fewest bands of the signature with which a pair of that similarity is missed at most once in 1,000.

    A pair of Jaccard similarity s shares none of b bands of r rows with probability (1 - s^r)^b (Leskovec, Rajaraman and Ullman,
    Mining of Massive Datasets, section 3.4.2).

    >>> bands(0.9, 128), bands(0.8, 128), bands(1.0, 128)
    (16, 32, 1)
    """
    divisors = [b for b in range(1, permutations + 1) if permutations % b == 0]
    return next((b for b in divisors if (1 - similarity ** (permutations // b)) ** b <= MAX_MISS), permutations)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the Jaccard similarity |A & B| / |A | B| of two sets that are not both empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


@lru_cache(maxsize=1024)  # one kept text may be compared with thousands that are like it
def shingles(text: str) -> frozenset[str]:
    """Return every run of 5 characters of the normalised text; a shorter text is its own shingle."""
    plain = normalise(text)
    return frozenset([plain[i : i + _SHINGLE_CHARS] for i in range(max(1, len(plain) - _SHINGLE_CHARS + 1))])
