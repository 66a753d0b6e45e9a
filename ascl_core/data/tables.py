"""Reading a source as tables of limited size: a local file or folder, an object at a URL, or a hub id.

`~` and `$VARIABLES` are expanded (`ascl_core.data.locations`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ascl_core.catalogue import dataset, names
from ascl_core.config.base import parse
from ascl_core.config.sources import ROWS, SourceConfig
from ascl_core.data.hub import read_hub
from ascl_core.data.locations import hub_id, is_url, locate, patterns_of, split_files
from ascl_core.data.remote import DROP
from ascl_core.data.row import Row
from ascl_core.data.table_files import BATCH_ROWS, KINDS, Batch, read_file, tables_in
from ascl_core.errors import DataError


def read_rows(source: SourceConfig, needed: Sequence[Sequence[str]], columns: Collection[str] | None = None) -> Iterator[Row]:
    """Yield the rows of the source in its order, with all columns or with those of `columns` that it has.

    Of each group in `needed` each file must have one column; otherwise a `DataError` names the first of the group.
    """
    before = Counter[str]()
    names_of = defaultdict[str, dict[str, None]](dict)  # a later batch of JSON lines may lack a column that an earlier one has
    for file, batch in _read_batches(source, columns):
        names = names_of[file]
        names.update(dict.fromkeys(name for values in batch for name in values))
        for group in needed:
            if not any(name in names for name in group):
                raise DataError("column is missing", file=file, field=group[0], hint=f"the columns are {', '.join(names)}")
        for number, values in enumerate(batch, start=before[file] + 1):
            yield Row({name: values.get(name) for name in names if columns is None or name in columns}, number, file)
        before[file] += len(batch)


def read_table(path: str, name: str, needed: Sequence[Sequence[str]], instead: str) -> Iterator[Row]:
    """Yield the rows of a table that an argument names and no parameter; hints say `instead` where they would have a source dropped."""
    source = parse(SourceConfig, {"format": ROWS, "name": name, "path": path}, file=path)
    try:
        yield from read_rows(source, needed)
    except DataError as error:
        error.hint = error.hint and error.hint.replace(DROP, instead)
        raise


def read_columns(source: SourceConfig) -> list[str]:
    """Return the names of the source's columns; an empty source is an error."""
    return list(dict.fromkeys(name for values in next(_read_batches(source))[1] for name in values))


def _read_batches(source: SourceConfig, columns: Collection[str] | None = None) -> Iterator[tuple[str, Batch]]:
    """Yield the source, in its order, in batches of at most `BATCH_ROWS` rows, each with its file; `DataError` names the file and the line.

    In memory is one batch at a time, and the whole of a `.json` file or of an object at a URL. `columns` are the needed ones, to save
    reading others; the caller reports missing ones.
    """
    if source.path is None:
        origin = f": the file or folder from {dataset(source.format).origin}, or a hub id" if source.format in names() else ""
        raise DataError("needs a path", field=f"source {source.name}", hint=f"give `path`{origin}")
    path = str(locate(source))
    name, is_empty = hub_id(path), True
    of_hub = ((path, batch) for batch in read_hub(source, name, columns, BATCH_ROWS)) if name is not None else None
    for file, batch in of_hub or _read_files(path, source):
        if batch:
            is_empty = False
            yield file, batch
    if is_empty:
        raise empty(path, source)


def _read_files(path: str, source: SourceConfig) -> Iterator[tuple[str, Batch]]:
    for file in _files(path, source):
        try:
            yield from ((file, batch) for batch in read_file(file))
        except FileNotFoundError as error:
            get = f"get it: ascl data fetch {source.format}" if source.format in names() else "check the path"
            raise DataError("file does not exist", file=file, hint=f"{get}; or {DROP}") from error


def empty(file: object, source: SourceConfig) -> DataError:
    """Return the error for a source without a single prompt."""
    return DataError("source has no prompts", file=file, field=source.name, hint=f"check the file, or {DROP}")


def _files(path: str, source: SourceConfig) -> list[str]:
    if is_url(path) or not Path(path).is_dir():
        return [path]
    if source.format in names():
        return _usual_files(Path(path), source)
    if not (files := tables_in(Path(path))):
        raise DataError("folder has no table", file=path, hint=f"expected one of {', '.join(KINDS)}, each also as .gz")
    return [str(file) for file in files]


def _usual_files(folder: Path, source: SourceConfig) -> list[str]:
    """Return the files of the split under their usual names, never those of another split, such as a training set beside a test set."""
    patterns = patterns_of(folder, source)
    found = split_files(folder, source)
    if not found:
        hint = f"expected {' or '.join(patterns)} in it; or give the file itself"
        raise DataError(f"folder has no table of {source.format}, split {source.hub_split}", file=folder, field=source.name, hint=hint)
    return found
