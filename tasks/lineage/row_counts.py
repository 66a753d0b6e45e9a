"""Which rows of a data set were added, removed or changed between two versions, by id and content; DuckDB reads them in pieces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from ascl_core.errors import DataError
from tasks.lineage.database import files, opened
from tasks.registry.stages import ArtifactKind, paths_of

KEYS = {path: kind.row_id for kind in ArtifactKind if kind.row_id for path in paths_of(kind)}
"""The columns that identify a row, by the path of each table."""
_MEMORY = "2GB"
"""What does not fit is spilled to a temporary folder."""
_EXAMPLES = 5


@dataclass(frozen=True)
class RowCounts:
    """How many rows were added, removed, changed or stayed the same; `examples` has the first ids of the first three."""

    added: int
    removed: int
    changed: int
    same: int
    examples: dict[str, tuple[str, ...]]

    @property
    def total(self) -> int:
        """How many differ."""
        return self.added + self.removed + self.changed

    def __str__(self) -> str:
        return f"{self.added} added, {self.removed} removed, {self.changed} changed, {self.same} the same"


def count_rows(old: Path, new: Path, path: str) -> RowCounts:
    """Compare the rows of the data set `path` in the files `old` and `new`; rows with the same id count as one.

    `DataError` if a file cannot be read in the format of the path.
    """
    is_json = path.endswith(".jsonl")
    column, content = ("t.json ->> '$.{}'", "t.json") if is_json else ("t.{}::VARCHAR", "t")
    source = "read_json_objects(?, format = 'newline_delimited')" if is_json else "read_parquet(?)"
    name = " || '/' || ".join(column.format(one) for one in KEYS[path])
    rows = f"SELECT {name} AS k, (count(*), sum(hash({content})::HUGEINT)) AS c FROM {source} t GROUP BY 1"
    kinds = (
        "CASE WHEN o.k IS NULL THEN 'added' WHEN n.k IS NULL THEN 'removed' WHEN o.c IS DISTINCT FROM n.c THEN 'changed' ELSE 'same' END"
    )
    query = f"""
        WITH o AS ({rows}), n AS ({rows}),
        both_sides AS (SELECT coalesce(o.k, n.k) AS k, {kinds} AS kind FROM o FULL OUTER JOIN n ON o.k = n.k)
        SELECT kind, count(*), min(k, {_EXAMPLES}) FILTER (kind != 'same') FROM both_sides GROUP BY kind
    """
    with TemporaryDirectory() as folder, opened(_MEMORY, paths=[old, new], spill=Path(folder), ordered=False) as connection:
        try:
            found = connection.execute(query, files([old, new])).fetchall()
        except duckdb.Error as error:
            raise DataError(f"its rows cannot be read: {str(error).splitlines()[0]}", file=path, hint="restore it: ascl pull") from error
    counts = {kind: number for kind, number, _ in found}
    examples = {kind: tuple(ids) for kind, _, ids in found if ids}
    added, removed, changed, same = (counts.get(kind, 0) for kind in ("added", "removed", "changed", "same"))
    return RowCounts(added, removed, changed, same, examples)
