"""The rows in a page: their manifests' lines with the beginning of each text, packed in pieces that a browser opens on demand."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ascl_core.artifacts import digest
from tasks.evidence.graph import Graph
from tasks.lineage.database import database, files, rows_of
from tasks.lineage.manifests import GROUP_ROWS, ROWS, RULES, folder_of, make_manifest
from tasks.lineage.reads import DATA_SETS
from tasks.lineage.texts import TEXT_CHARACTERS, texts_of
from tasks.registry.paths import LINEAGE

MOST_ROWS = 2_000_000
"""The most rows in a page, which is then about 125 MB; data sets that do not fit are listed with their figures."""
UNAVAILABLE, CHANGED, TOO_MANY, LEFT_OUT = (
    "not available here: ascl pull",
    "not what its record says",
    "too many rows for a page",
    "left out",
)
_LEVEL = 6

_LINES = """
SELECT row_id, nullif(prompt_id, row_id) AS prompt_id, text, source, licence, rules_are, array_to_string(rule_ids, ' ') AS rules, generator,
    seed::VARCHAR AS seed, kept, split
FROM read_parquet($rows) LEFT JOIN ({}) AS texts USING (row_id, prompt_id) ORDER BY row_id, prompt_id, kept
"""
_EACH = ("row_id", "prompt_id", "text")
"""Columns whose values are mostly distinct; all others are packed as numbers into a list of their values."""


@dataclass(frozen=True)
class DataSet:
    """A data set that a record of the snapshot names."""

    path: str
    sha256: str
    file: Path | None
    rows: int | None
    """None if it is not available here."""
    by_rule: dict[str, int]
    """How many rows have each rule."""
    missing: str
    """Why its rows are not in the page; empty if they are."""


def data_sets(root: Path, graph: Graph, *, embed: bool, most: int = MOST_ROWS) -> list[DataSet]:
    """Return the data sets of a snapshot and write their missing manifests; data sets that would exceed `most` rows stay out."""
    found: list[DataSet] = []
    for artifact in graph.artifacts():
        if artifact.path in DATA_SETS:
            one = _data_set(root, graph, artifact.path, artifact.sha256, embed=embed)
            most -= one.rows or 0 if not one.missing else 0
            found.append(one if most >= 0 else replace(one, missing=one.missing or TOO_MANY))
    return found


def _data_set(root: Path, graph: Graph, path: str, sha256: str, *, embed: bool) -> DataSet:
    file = graph.snapshot.files(path).get("")
    if file is None or digest(file) != sha256:
        return DataSet(path, sha256, None, None, {}, UNAVAILABLE if file is None else CHANGED)
    make_manifest(root, sha256, file, path)
    with database(root) as connection:
        query = "SELECT rule_id, sum(rows)::BIGINT AS rows FROM read_parquet($f) GROUP BY rule_id"
        counts = {row["rule_id"]: row["rows"] for row in rows_of(connection, query, {"f": files([folder_of(root, sha256) / RULES])})}
    total = counts.pop(None, 0)
    return DataSet(path, sha256, file, total, counts, "" if embed else LEFT_OUT)


@dataclass(frozen=True)
class Chunk:
    """Some rows of a data set as a browser reads them: base64 of gzip of JSON."""

    data_set: int
    """Its position in the list."""
    rows: int
    packed: str


def chunks(root: Path, sets: Sequence[DataSet]) -> Iterator[Chunk]:
    """Yield the rows of the data sets that are embedded, by row id; needs memory for the texts of one data set, at most 1 GB."""
    for number, one in enumerate(sets):
        if one.missing or one.file is None:
            continue
        values = {"file": files([one.file]), "rows": files([folder_of(root, one.sha256) / ROWS]), "most": TEXT_CHARACTERS}
        with database(root, spill=root / LINEAGE / "spill", also=[one.file]) as connection:
            for batch in connection.sql(_LINES.format(texts_of(one.path)), params=values).to_arrow_reader(GROUP_ROWS):
                yield Chunk(number, batch.num_rows, pack(_columns(batch)))


def pack(value: Any) -> str:
    """Return a value as a browser reads it; the same bytes for the same value."""
    return base64.b64encode(gzip.compress(json.dumps(value, separators=(",", ":")).encode(), _LEVEL, mtime=0)).decode()


def _columns(batch: pa.RecordBatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in _EACH:
            found[name] = column.to_pylist() if column.null_count < len(column) else None
        else:
            coded = column.dictionary_encode()
            found[name] = {"values": coded.dictionary.to_pylist(), "codes": coded.indices.to_pylist()}
    return found
