"""The manifest of a data set: for each row its id, the digest of its content, its source, its rules, and why it was kept.

    .ascl/lineage/rows-1/<SHA-256 of the data set>/rows.parquet        a row each, sorted by row id
                                                  /by_prompt.parquet   prompt id to row id, where rows are trajectories
                                                  /rules.parquet       how many rows each rule has, by split

It depends on the bytes of the data set alone. It is written whole or not at all, and again if it is missing or torn.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ascl_core.artifacts import digest, sha256_json
from ascl_core.errors import DataError
from ascl_core.vocabulary import Mode, PromptType
from tasks.lineage.database import database, files, is_whole
from tasks.registry.paths import LINEAGE
from tasks.repository.locking import exclusive

MANIFESTS = LINEAGE / "rows-1"
"""The number is that of the format; other formats are not read."""
ROWS, BY_PROMPT, RULES = "rows.parquet", "by_prompt.parquet", "rules.parquet"
GROUP_ROWS = 20_480
"""Rows in a group of a Parquet file, which is the least that a look-up reads."""
BATCH_ROWS = 10_000
_MAKING = LINEAGE / "making"
_CURATED = "length, exact duplicates, near-duplicates, decontamination, resolved against the rules"
_CURATED_UTILITY = "length, exact duplicates, decontamination, resolved against the rules"
_RIGHT = {
    PromptType.HARMFUL: "well-formed, refuses",
    PromptType.BORDERLINE: "well-formed, does not refuse",
    PromptType.SENSITIVE: "well-formed, does not refuse outright, has the elements of a safe completion",
    PromptType.UTILITY: "well-formed, does not refuse, right answer",
}
CONSULTED, DECIDES, TAUGHT, NONE = "consulted", "decides", "in the teacher's prompt", "none"
"""How a row uses its rules."""


def schema() -> pa.Schema:
    """Return the columns of a manifest."""
    text = pa.string()
    needed = [pa.field(name, text, nullable=False) for name in ("row_id", "prompt_id", "content_sha256", "source", "licence", "rules_are")]
    rules = pa.field("rule_ids", pa.list_(pa.field("element", text)), nullable=False)
    return pa.schema([*needed, rules, ("generator", text), ("seed", pa.int64()), pa.field("kept", text, nullable=False), ("split", text)])


def folder_of(root: Path, sha256: str) -> Path:
    """Return the folder of the manifest of the data set with that SHA-256."""
    return root / MANIFESTS / sha256


def has_manifest(root: Path, sha256: str) -> bool:
    """Return whether the manifest exists and none of its files was cut off."""
    folder = folder_of(root, sha256)
    return folder.is_dir() and is_whole(folder / ROWS) and is_whole(folder / RULES)


def make_manifest(root: Path, sha256: str, file: Path, path: str) -> None:
    """Write the manifest of the data set in `file`, unless it exists; `DataError` if the file does not have that SHA-256."""
    if has_manifest(root, sha256):
        return
    if digest(file) != sha256:
        raise DataError("is not what its record says", file=path, value=str(file), hint="ascl lineage verify; then dvc checkout")
    write_manifest(root, sha256, _batches(_rows(file, path)))


def write_manifest(root: Path, sha256: str, batches: Iterable[pa.RecordBatch]) -> None:
    """Write the manifest of those rows, in any order; needs memory for a batch, and at most 1 GB to sort."""
    with _alone(root) as making:
        if has_manifest(root, sha256):
            return
        unsorted = making / "unsorted.parquet"
        with pq.ParquetWriter(unsorted, schema(), compression="zstd", compression_level=1) as writer:
            for batch in batches:
                writer.write_batch(batch)
        made = making / sha256
        made.mkdir()
        _sort(root, unsorted, made, making / "spill")
        shutil.rmtree(folder_of(root, sha256), ignore_errors=True)
        folder_of(root, sha256).parent.mkdir(parents=True, exist_ok=True)
        made.rename(folder_of(root, sha256))


def _sort(root: Path, unsorted: Path, into: Path, spill: Path) -> None:
    with database(root, spill=spill) as connection:
        rows = connection.read_parquet(files([unsorted]))

        def write(name: str, query: str) -> None:
            made = rows.query("incoming", query)
            assert made is not None
            made.write_parquet(str(into.resolve() / name), compression="zstd", row_group_size=GROUP_ROWS)

        write(ROWS, "SELECT * FROM incoming ORDER BY row_id, prompt_id")
        if rows.filter("prompt_id <> row_id").limit(1).fetchall():
            write(BY_PROMPT, "SELECT prompt_id, row_id, split FROM incoming ORDER BY prompt_id, row_id")
        write(
            RULES,
            """SELECT rule_id, split, rules_are, count(*) AS rows
               FROM (SELECT unnest(rule_ids) AS rule_id, split, rules_are FROM incoming) GROUP BY ALL
               UNION ALL SELECT NULL, split, NULL, count(*) FROM incoming GROUP BY split ORDER BY ALL""",
        )


@contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """Yield an empty folder to work in, for one process at a time; the remains of a killed process are removed."""
    with exclusive(root / LINEAGE / "lock"):
        making = root / _MAKING
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        try:
            yield making
        finally:
            shutil.rmtree(making, ignore_errors=True)


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(rows, BATCH_ROWS)):
        yield pa.RecordBatch.from_pylist(some, schema=schema())


def _rows(file: Path, path: str) -> Iterator[dict[str, Any]]:
    if path.endswith(".jsonl"):
        read, manifest = _lines(file, path), _of_trajectory
    else:
        read, manifest = _records(file, path), _of_prompt
    for number, values in enumerate(read, start=1):
        try:
            yield {"content_sha256": sha256_json(values), **manifest(values)}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a row of a data set: {error!r}", file=path, field=f"row {number}", hint="ascl run") from error


def _lines(file: Path, path: str) -> Iterator[dict[str, Any]]:
    with open(file, encoding="utf-8") as opened:
        for number, line in enumerate(opened, start=1):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"not valid JSON lines: {error}", file=path, field=f"line {number}", hint="ascl pull") from error


def _records(file: Path, path: str) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=BATCH_ROWS):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"not a readable Parquet file: {error}", file=path, hint="ascl pull") from error


def _of_prompt(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest's line of a prompt; prompts of suites are held out, and in no split."""
    passed = _CURATED if row["answer"] is None else _CURATED_UTILITY
    return {
        "row_id": row["id"],
        "prompt_id": row["id"],
        "source": row["source"],
        "licence": row["licence"],
        "rules_are": DECIDES if row["rule_id"] else NONE,
        "rule_ids": [row["rule_id"]] if row["rule_id"] else [],
        "generator": None,
        "seed": None,
        "kept": passed if row["suite"] is None else f"held out for {row['suite']}",
        "split": row["split"],
    }


def _of_trajectory(row: Mapping[str, Any]) -> dict[str, Any]:
    rules = list(dict.fromkeys(row["rule_ids"]))
    return {
        "row_id": row["id"],
        "prompt_id": row["prompt_id"],
        "source": row["source"],
        "licence": row["licence"],
        "rules_are": NONE if not rules else CONSULTED if row["mode"] == Mode.CONSULT else TAUGHT,
        "rule_ids": rules,
        "generator": row["generator"],
        "seed": row["seed"],
        "kept": _RIGHT[PromptType(row["prompt_type"])],
        "split": None,
    }
