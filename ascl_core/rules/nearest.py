"""The rules whose vectors are nearest to that of a query: exact for thousands of vectors, by a shortlist for more.

The shortlist is taken in the leading principal components of the vectors, which hold most of their variance, and is then ranked by the
full vectors. So a look-up reads a tenth of the memory, and still returns true cosines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_EXACT = 2048
"""The largest number of vectors that are all compared."""
_COMPONENTS = 64
_SHORTLIST = 512


class NearestRules:
    """Compares a query with the vectors of some rules.

    Args:
        vectors: Unit vectors (rules R, vectors a rule V, dimensions D), float32. Of several vectors of a rule the best counts.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self._per_rule = vectors.shape[1]
        self._flat = np.ascontiguousarray(vectors.reshape(-1, vectors.shape[-1]))  # (R · V, D)
        self._basis: np.ndarray | None = None  # (D, components)
        if len(self._flat) > _EXACT and self._flat.shape[1] > _COMPONENTS:
            _, directions = np.linalg.eigh(self._flat.T @ self._flat)  # in ascending order
            self._basis = np.ascontiguousarray(directions[:, -_COMPONENTS:])
            self._rough = self._flat @ self._basis

    def near(self, query: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of rules, ascending, and their cosines to the query's unit vector (D,).

        The nearest `depth` are among them.
        """
        if self._basis is None:
            cosines = (self._flat @ query).reshape(-1, self._per_rule).max(axis=1) if self._per_rule > 1 else self._flat @ query
            return np.arange(len(cosines)), cosines
        wanted = min(max(_SHORTLIST, 4 * depth * self._per_rule), len(self._flat))
        rough = self._rough @ (query @ self._basis)
        shortlist = np.argpartition(rough, -wanted)[-wanted:]
        positions = np.unique(shortlist // self._per_rule)
        return positions, self.cosines(query, positions)

    def cosines(self, query: np.ndarray, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the cosines of the rules at these positions."""
        rows = np.asarray(positions)[:, None] * self._per_rule + np.arange(self._per_rule)  # (n, V)
        return (self._flat[rows.ravel()] @ query).reshape(rows.shape).max(axis=1)
