"""Near-duplicates by MinHash over character 5-grams (`datasketch`)."""

from __future__ import annotations

from collections.abc import Sequence

from ascl_core.data.raw_prompt import normalise

_SHINGLE_CHARS = 5
_CANDIDATE_SIMILARITY = 0.8
"""The index, which refuses thresholds near 1, only proposes; the signatures decide."""


def find_near_duplicates(texts: Sequence[str], similarity: float, permutations: int) -> list[int | None]:
    """For each text the index of an earlier kept text of at least that Jaccard similarity (estimated), or None."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=min(similarity, _CANDIDATE_SIMILARITY), num_perm=permutations)
    signatures = MinHash.bulk([_shingles(text) for text in texts], num_perm=permutations, seed=1)
    found: list[int | None] = []
    for number, signature in enumerate(signatures):
        near = sorted(other for other in index.query(signature) if signatures[other].jaccard(signature) >= similarity)
        found.append(near[0] if near else None)
        if not near:
            index.insert(number, signature)
    return found


def _shingles(text: str) -> list[bytes]:
    plain = normalise(text)
    return sorted({plain[i : i + _SHINGLE_CHARS].encode() for i in range(max(1, len(plain) - _SHINGLE_CHARS + 1))})
