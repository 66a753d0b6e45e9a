"""Near-duplicates by MinHash over character 5-grams (`rensa`).

MinHash proposes and the shingles decide: what is dropped has the similarity asked for, exactly, whatever hash functions the library
has. What is missed is what no band of the index shares (see `bands`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from ascl_core.data.raw_prompt import normalise

_SHINGLE_CHARS = 5
_SEED = 1
MAX_MISS = 1e-3
"""The most probable that a pair of just the similarity asked for shares no band, where the number of permutations can do it."""


def signatures(texts: Sequence[str], permutations: int) -> list[bytes]:
    """The MinHash signature of each text, as `NearDuplicates.find` takes it; a text's signature depends on nothing but the text."""
    from rensa import RMinHash

    return [minhash.__getstate__() for minhash in RMinHash.from_token_sets([shingles(text) for text in texts], permutations, _SEED)]


class NearDuplicates:
    """The texts kept so far, of each group apart: about 1.3 kB and the text itself for each."""

    def __init__(self, similarity: float, permutations: int) -> None:
        from rensa import RMinHashLSH

        self._similarity, self._permutations = similarity, permutations
        self._index = RMinHashLSH(similarity, permutations, bands(similarity, permutations))
        self._kept: list[tuple[str, str | None]] = []

    def find(self, text: str, signature: bytes, group: str | None = None) -> str | None:
        """An earlier kept text of the group of at least that Jaccard similarity; None, and the text is kept, where there is none."""
        from rensa import RMinHash

        minhash = RMinHash(self._permutations, _SEED)
        minhash.__setstate__(signature)  # the library's own bytes, no pickle
        if (near := self._nearest(text, sorted(self._index.query(minhash)), group)) is not None:
            return near
        self._index.insert(len(self._kept), minhash)
        self._kept.append((text, group))
        return None

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
