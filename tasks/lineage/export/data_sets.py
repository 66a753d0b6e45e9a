"""The data sets behind an artifact: what it was trained and evaluated on, with rows, columns and licences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ascl_core.artifacts import sha256_file
from ascl_core.errors import DataError
from tasks.evidence.graph import Node
from tasks.evidence.snapshot import Snapshot
from tasks.lineage.database import files, opened
from tasks.registry.paths import DATA
from tasks.registry.stages import DATA_SETS

NO_ASSERTION = "NOASSERTION"
"""What a row has as its licence if its source names none; SPDX calls it so."""
_MEMORY = "1GB"


@dataclass(frozen=True)
class DataSet:
    """One file of rows, whose bytes are those that its record names."""

    path: str
    """In the repository."""
    sha256: str
    file: Path
    """Where its bytes are on this machine."""
    description: str
    key: tuple[str, ...]
    """The columns that identify a row."""
    rows: int
    licences: tuple[str, ...]
    """Of its rows, as their column `licence` has them, in order: SPDX ids, or what the source says."""

    @property
    def name(self) -> str:
        """The path without its folder `data` and its ending, such as `sft/ascl`."""
        return str(Path(self.path).relative_to(DATA).with_suffix(""))

    @property
    def columns(self) -> pa.Schema | None:
        """The columns of a Parquet file; None of JSON lines."""
        return pq.read_schema(self.file) if self.path.endswith(".parquet") else None


def data_sets(snapshot: Snapshot, nodes: Iterable[Node], missing: list[str]) -> Iterator[DataSet]:
    """Yield the data sets that these records wrote, unless they are empty; to `missing` are added those whose bytes are not available here.

    `DataError` if a file has the right bytes and cannot be read.
    """
    written = [(artifact, node) for node in nodes for artifact in node.stage.outputs.values() if artifact.kind in DATA_SETS]
    for artifact, node in written:
        sha256 = node.outputs.get(artifact.path)
        if sha256 is None:  # a record of before the stage wrote it
            continue
        file = snapshot.files(artifact.path).get("")
        if file is None or sha256_file(file) != sha256:
            missing.append(artifact.path)
            continue
        rows, licences = _rows(file, artifact.path)
        description = f"{artifact.kind}: {node.stage.summary}"
        if rows:
            yield DataSet(artifact.path, sha256, file, description, artifact.kind.row_id, rows, licences)


def _rows(file: Path, path: str) -> tuple[int, tuple[str, ...]]:
    """Return how many rows a data set has, and their licences."""
    is_json = path.endswith(".jsonl")
    source, licence = ("read_json_objects(?, format = 'newline_delimited') t", "t.json ->> '$.licence'")
    if not is_json:
        source, licence = "read_parquet(?) t", "t.licence" if "licence" in pq.read_schema(file).names else "NULL"
    query = f"SELECT count(*), list(DISTINCT {licence} ORDER BY {licence}) FROM {source}"
    try:
        with opened(_MEMORY, paths=[file], ordered=False) as connection:
            found = connection.execute(query, files([file])).fetchone() or (0, None)
    except duckdb.Error as error:
        raise DataError(f"its rows cannot be read: {str(error).splitlines()[0]}", file=path, hint="ascl lineage verify") from error
    return int(found[0]), tuple(one for one in found[1] or () if one and one != NO_ASSERTION)
