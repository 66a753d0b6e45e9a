"""Shards: the prompts in curation, in files of some thousand rows each, so that any number of them needs little memory.

    shards/raw/00000.parquet        the rows of the sources, in their order, as they are loaded
    shards/raw/loaded.json          the number of shards, written when all are complete
    shards/prepared/00000.parquet   the same rows with the features of each

A shard that exists is complete: a stage that was killed resumes with the next one. The division into shards is fixed, so that neither
the engine nor the number of workers changes a byte of the output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import pyarrow as pa

from ascl_core.artifacts import read_json, read_parquet, write_json, write_parquet
from ascl_core.config.curate import CurateConfig
from ascl_core.data.contamination import Contamination, ContaminationIndex
from ascl_core.data.near_duplicates import signatures
from ascl_core.data.raw_prompt import RawPrompt, clean, content_digest
from ascl_core.errors import DataError
from ascl_core.vocabulary import PromptType

SHARD_ROWS = 20_000
_FIELDS = [field.name for field in fields(RawPrompt)]
_RAW = pa.schema([(name, pa.string()) for name in _FIELDS])
_PREPARED = pa.schema(
    [*_RAW, ("content", pa.binary(32)), ("signature", pa.binary()), ("evaluation", pa.int32()), ("evaluation_kind", pa.string())]
)


@dataclass(frozen=True)
class Prepared:
    """A row with the features that depend on it alone."""

    row: RawPrompt
    """With its prompt cleaned."""
    content: bytes
    """SHA-256 of the normalised prompt."""
    signature: bytes | None
    """For near-duplicates; None for prompts that are too short or too long, and for utility prompts: two sums that differ in one digit are
    different questions."""
    contamination: Contamination | None


@dataclass(frozen=True)
class Preparation:
    """One shard to prepare; it names files only, so that any process with access to the folder can do it."""

    raw: Path
    prepared: Path
    evaluation: Path
    """The evaluation prompts: a JSON list of texts."""
    curate: CurateConfig


def write_raw(rows: Iterable[RawPrompt], folder: Path) -> int:
    """Write the rows in shards, unless an earlier attempt wrote them all; return the number of shards."""
    loaded = folder / "loaded.json"
    if not loaded.exists():
        rows, count = iter(rows), 0
        while some := list(islice(rows, SHARD_ROWS)):
            write_parquet(shard(folder, count), pa.table(_columns(some), schema=_RAW))
            count += 1
        write_json(loaded, {"shards": count})
    return int(read_json(loaded)["shards"])


def shard(folder: Path, number: int) -> Path:
    """Return the path of a shard."""
    return folder / f"{number:05}.parquet"


def prepare(job: Preparation) -> Path:
    """Compute the features of one shard unless they are cached; return the file's path."""
    if not job.prepared.exists():
        rows = [replace(row, prompt=clean(row.prompt)) for row in _rows(read_parquet(job.raw))]
        texts = [row.prompt for row in rows]
        compared = [i for i, row in enumerate(rows) if row.answer is None and job.curate.fits(row.prompt)]
        signed = dict(zip(compared, signatures([texts[i] for i in compared], job.curate.minhash_permutations), strict=True))
        index = _index(job.evaluation, job.evaluation.stat().st_mtime_ns, job.curate.contamination_ngram)
        found = [index.find(text) for text in texts]
        columns: dict[str, Sequence[object]] = {
            **_columns(rows),
            "content": [content_digest(text) for text in texts],
            "signature": [signed.get(i) for i in range(len(rows))],
            "evaluation": [hit and hit.evaluation for hit in found],
            "evaluation_kind": [hit and hit.kind for hit in found],
        }
        write_parquet(job.prepared, pa.table(columns, schema=_PREPARED))
    return job.prepared


def read_prepared(path: Path) -> Iterator[Prepared]:
    """Read the rows of a prepared shard."""
    table = read_parquet(path)
    features = (table[name].to_pylist() for name in ("content", "signature", "evaluation", "evaluation_kind"))
    for row, content, signature, evaluation, kind in zip(_rows(table), *features, strict=True):
        yield Prepared(row, content, signature, None if evaluation is None else Contamination(evaluation, kind))


def evaluation_texts(path: Path) -> list[str]:
    """Read the prompts of the suites, which no training prompt may contain."""
    values = read_json(path)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError("expected a list of prompts", file=path, hint="run the stage that makes it: ascl run")
    return values


@lru_cache(maxsize=1)
def _index(path: Path, written: int, ngram: int) -> ContaminationIndex:
    """Build the index once per process, for all its shards."""
    return ContaminationIndex(evaluation_texts(path), ngram)


def _columns(rows: Sequence[RawPrompt]) -> dict[str, Sequence[object]]:
    return {name: [getattr(row, name) for row in rows] for name in _FIELDS}


def _rows(table: pa.Table) -> Iterator[RawPrompt]:
    for values in zip(*(table[name].to_pylist() for name in _FIELDS), strict=True):
        row = RawPrompt(*values)
        yield replace(row, prompt_type=PromptType(row.prompt_type))
