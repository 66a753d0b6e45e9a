"""Reading a source as tables of limited size: a local file or folder, an object at a URL, or a hub id.

`~` and `$VARIABLES` are expanded; `$ASCL_EXTERNAL_DATA` defaults to `../shared/data`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ascl_core.catalogue import dataset, names
from ascl_core.config.sources import SourceConfig
from ascl_core.data.hub import read_hub
from ascl_core.data.locations import expand, hub_id, is_url
from ascl_core.data.remote import fetch
from ascl_core.data.row import Row
from ascl_core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_SUFFIXES = (".jsonl", ".json", *_SEPARATORS, ".parquet")
BATCH_ROWS = 50_000
"""Rows of one table; a JSON file has the columns of its first so many rows."""


def read_rows(source: SourceConfig, needed: Sequence[Sequence[str]], columns: Collection[str] | None = None) -> Iterator[Row]:
    """Yield the rows of the source in its order, with all columns or with those of `columns` that it has.

    Of each group in `needed` one column must exist; otherwise a `DataError` names the first of the group.
    """
    before = 0
    for table in _read_tables(source, columns):
        names = [str(name) for name in table.columns]
        for group in needed:
            if not any(name in names for name in group):
                raise DataError("column is missing", file=source.path, field=group[0], hint=f"the columns are {', '.join(names)}")
        if columns is not None:
            table = table[[name for name in table.columns if name in columns]]
        for number, record in enumerate(table.to_dict("records"), start=before + 1):
            yield Row({str(name): value for name, value in record.items()}, number, source.path)
        before += len(table)


def _read_tables(source: SourceConfig, columns: Collection[str] | None = None) -> Iterator[pd.DataFrame]:
    """Yield the source, in its order, as tables of at most `BATCH_ROWS` rows; `DataError` names the file, and the line if there is one.

    In memory is one table at a time, and the whole of a `.json` file or of an object at a URL. `columns` are the needed ones, to save
    reading others; the caller reports missing ones.
    """
    if source.path is None:
        origin = f": the file or folder from {dataset(source.format).origin}, or a hub id" if source.format in names() else ""
        raise DataError("needs a path", field=f"source {source.name}", hint=f"give `path`{origin}")
    path = expand(source.path)
    is_empty = True
    for table in read_hub(source, name, columns, BATCH_ROWS) if (name := hub_id(path)) is not None else _read_files(path, source):
        if not table.empty:
            is_empty = False
            yield table
    if is_empty:
        raise empty(path, source)


def _read_files(path: str, source: SourceConfig) -> Iterator[pd.DataFrame]:
    try:
        for file in _files(path, source):
            yield from _read_file(file)
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, hint="check the path, or drop the source") from error
    except (ValueError, OSError, UnicodeDecodeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot be read: {error}", file=path, hint="restore the file") from error


def empty(file: object, source: SourceConfig) -> DataError:
    """Return the error for a source without a single prompt."""
    return DataError("source has no prompts", file=file, field=source.name, hint="check the file, or drop the source")


def _files(path: str, source: SourceConfig) -> list[str]:
    if is_url(path) or not Path(path).is_dir():
        return [path]
    if source.format in names():
        return _usual_files(Path(path), source)
    files = sorted(str(file) for file in Path(path).iterdir() if file.suffix in _SUFFIXES)
    if not files:
        raise DataError("folder has no table", file=path, hint=f"expected one of {', '.join(_SUFFIXES)}")
    return files


def _usual_files(folder: Path, source: SourceConfig) -> list[str]:
    """Return the files of the split under their usual names, never those of another split, such as a training set beside a test set."""
    by_split = dataset(source.format).files
    if source.hub_split not in by_split:
        hint = f"hub_split is one of {', '.join(by_split)}; or give a file"
        raise DataError(f"{source.format} has no such split", file=folder, field=source.name, value=source.hub_split, hint=hint)
    patterns = by_split[source.hub_split]
    found = next((matches for pattern in patterns if (matches := sorted(folder.glob(pattern)))), None)
    if found is None:
        hint = f"expected {' or '.join(patterns)} in it; or give the file itself"
        raise DataError(f"folder has no table of {source.format}, split {source.hub_split}", file=folder, field=source.name, hint=hint)
    return [str(file) for file in found]


def _read_file(path: str) -> Iterator[pd.DataFrame]:
    import pandas as pd
    import pyarrow.parquet as pq

    with BytesIO(fetch(path)) if is_url(path) else open(path, "rb") as file:
        suffix = Path(path).suffix
        if suffix == ".parquet":
            yield from (batch.to_pandas() for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS))
        elif suffix in _SEPARATORS:
            options: dict[str, Any] = {"encoding": "utf-8-sig", "dtype": str, "keep_default_na": False}
            yield from pd.read_csv(file, sep=_SEPARATORS[suffix], chunksize=BATCH_ROWS, **options)
        else:
            rows, columns = _read_json(file, path), None
            while some := list(islice(rows, BATCH_ROWS)):
                table = pd.DataFrame(some, columns=columns)
                columns = table.columns
                yield table


def _read_json(binary: IO[bytes], path: str) -> Iterator[dict[str, Any]]:
    with TextIOWrapper(binary, encoding="utf-8-sig") as file:
        if path.endswith(".json") and (values := _whole(file)) is not None:
            if not isinstance(values, list):
                raise DataError("expected a list of objects", file=path, hint="give a JSON list or JSON lines")
            yield from values
            return
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parse_line(line.strip(), path, number)


def _whole(file: TextIOWrapper) -> Any:
    """Return the value of a `.json` file; None, with the file rewound, if it holds JSON lines, as some files of that name do."""
    try:
        return json.load(file)
    except json.JSONDecodeError as error:
        file.seek(0)
        if error.msg != "Extra data" or not file.readline().startswith("{"):
            raise
        file.seek(0)
        return None


def _parse_line(line: str, path: str, number: int) -> dict[str, Any]:
    try:
        value, problem = json.loads(line), "expected a JSON object"
    except json.JSONDecodeError as error:
        value, problem = None, f"not valid JSON: {error.msg}"
    if not isinstance(value, dict):
        raise DataError(problem, file=path, field=f"line {number}", value=line[:80], hint="fix or drop the line")
    return value
