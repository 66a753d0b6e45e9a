"""Which rows of a data set came, went or changed between two versions of it, by id and content; read by DuckDB, never whole in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ascl_core.errors import DataError
from tasks.lineage.database import files, opened
from tasks.registry.stages import EVALUATE, PROMPTS, SUITES, TRAJECTORIES

KEYS: dict[str, tuple[str, ...]] = {
    PROMPTS.path: ("id",),
    SUITES.path: ("suite", "id"),
    **{artifact.path: ("id",) for artifact in TRAJECTORIES.values()},
    **{stage.outputs["results"].path: ("suite", "prompt_id", "sample") for stage in EVALUATE.values()},
}
"""What names a row, in each data set."""
_MEMORY = "2GB"
"""Of the counting; what does not fit is kept in a temporary folder meanwhile."""
_EXAMPLES = 5


@dataclass(frozen=True)
class RowCounts:
    """How many rows came, went, changed and stayed; with the first ids of each but the last, in order."""

    added: int
    removed: int
    changed: int
    same: int
    examples: dict[str, tuple[str, ...]]

    @property
    def total(self) -> int:
        """How many are not as they were."""
        return self.added + self.removed + self.changed

    def __str__(self) -> str:
        return f"{self.added} added, {self.removed} removed, {self.changed} changed, {self.same} the same"


def count_rows(old: Path, new: Path, path: str) -> RowCounts:
    """What became of the rows of the data set `path` from the file `old` to the file `new`; rows of one id count together.

    `DataError` where a file cannot be read as what the path says.
    """
    import duckdb

    read, key = (_of_json if path.endswith(".jsonl") else _of_parquet), KEYS[path]
    kinds = (
        "CASE WHEN o.k IS NULL THEN 'added' WHEN n.k IS NULL THEN 'removed' WHEN o.c IS DISTINCT FROM n.c THEN 'changed' ELSE 'same' END"
    )
    query = f"""
        WITH o AS ({read(key)}), n AS ({read(key)}),
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


def _of_parquet(key: Sequence[str]) -> str:
    name = " || '/' || ".join(f"t.{column}::VARCHAR" for column in key)
    return _gathered(name, "hash(t)", "read_parquet(?)")


def _of_json(key: Sequence[str]) -> str:
    name = " || '/' || ".join(f"t.json ->> '$.{column}'" for column in key)
    return _gathered(name, "hash(t.json)", "read_json_objects(?, format = 'newline_delimited')")


def _gathered(name: str, content: str, source: str) -> str:
    return f"SELECT {name} AS k, (count(*), sum({content}::HUGEINT)) AS c FROM {source} t GROUP BY 1"
