"""Tables in files, read in batches of limited size: CSV, TSV, JSON lines, JSON and Parquet, each also packed with gzip."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import logging
import re
import sys
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, suppress
from io import BytesIO, TextIOWrapper
from itertools import islice, tee, zip_longest
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from ascl_core.conflicts import CONFLICT, conflict_hint, conflicts
from ascl_core.data.locations import is_url
from ascl_core.data.remote import fetch
from ascl_core.data.row import Unreadable
from ascl_core.errors import DataError
from ascl_core.stray import is_stray

_LOG = logging.getLogger(__name__)
Batch = list[dict[str, Any]]
"""Rows, by column: as Python has them, so that nothing becomes another type because a cell beside it is empty."""

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_OTHER_SEPARATORS = (";", "\t", "|")
KINDS = {suffix: suffix for suffix in (".jsonl", ".json", *_SEPARATORS, ".parquet")} | {
    ".ndjson": ".jsonl",
    ".tab": ".tsv",
    ".pq": ".parquet",
}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
csv.field_size_limit(sys.maxsize)
BATCH_ROWS = 50_000
"""Rows of one table; a JSON file has the columns of its first so many rows."""


def kind_of_table(name: str) -> str | None:
    """Return what kind of table a file is by its name, as a suffix; None if it is none.

    >>> kind_of_table("A.JSONL"), kind_of_table("b.ndjson.gz"), kind_of_table("README.md")
    ('.jsonl', '.jsonl', None)
    """
    return KINDS.get(Path(name.lower().removesuffix(".gz")).suffix)


def tables_in(folder: Path, others: Collection[str] = ()) -> list[Path]:
    """Return the files with tables in a folder and its subfolders, by name; none if there is no folder.

    A warning names what is not read, but for `others`, which someone else reads: no tables, and links to folders, whose files no
    digest would hold.
    """
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    found = [folder / name for name in names if not is_stray(name) and str(name) not in others]
    tables = [file for file in found if file.is_file() and kind_of_table(file.name) is not None]
    if skipped := [str(file.relative_to(folder)) for file in found if file not in tables]:
        _LOG.warning("%s: not read, as they are no tables: %s", folder, ", ".join(skipped))
    return tables


def read_file(path: str) -> Iterator[Batch]:
    """Yield the rows of the table in a file or at a URL, in batches of at most `BATCH_ROWS`.

    `DataError` if it cannot be read, `FileNotFoundError` if it does not exist.
    """
    try:
        yield from _read_batches(path)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, RecursionError, zlib.error, NotImplementedError) as error:
        # A packed file may end too early, and Arrow has no values of some kinds, such as integers of less than 8 bits.
        raise DataError(f"cannot be read: {error}", file=path, hint="restore the file") from error


def _read_batches(path: str) -> Iterator[Batch]:
    import pyarrow.parquet as pq

    kind = kind_of_table(Path(urlsplit(path).path if is_url(path) else path).name)
    with BytesIO(fetch(path)) if is_url(path) else open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if packed else raw)
        if kind == ".parquet":
            table = pq.ParquetFile(BytesIO(file.read()) if packed else file)
            _refuse_twice([name for name in table.schema_arrow.names if name], path, "schema")
            yield from (python_rows(batch) for batch in table.iter_batches(BATCH_ROWS))
            return
        rows = _read_json(file, path, kind) if kind not in _SEPARATORS else _read_delimited(file, path, _separator(file, path, kind))
        while some := list(islice(rows, BATCH_ROWS)):
            yield some


def python_rows(batch: Any) -> Batch:
    """Return the rows of an Arrow batch or table; a number of single precision is the shortest that means it, 0.1 and not
    0.10000000149011612, and a value that Python cannot hold is `Unreadable`.
    """
    columns = [_python_values(column) for column in batch.columns]
    return [dict(zip(batch.schema.names, cells, strict=True)) for cells in zip(*columns, strict=True)] or [{}] * batch.num_rows


def _python_values(column: Any) -> list[Any]:
    import pyarrow as pa

    try:
        if (as_text := _with_singles_as(pa.string(), column.type)) != column.type:
            column = column.cast(as_text).cast(_with_singles_as(pa.float64(), column.type))
        return cast(list[Any], column.to_pylist())
    except (ArithmeticError, LookupError, ValueError):
        return [_python_value(cell) for cell in column]


def _python_value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except (ArithmeticError, LookupError, ValueError) as error:
        return Unreadable(f"{cell.type}: {error}")


def _with_singles_as(new: Any, kind: Any) -> Any:
    """Return an Arrow type with `new` for each number of single precision, also within lists and structs."""
    import pyarrow as pa
    from pyarrow import types as is_kind

    if is_kind.is_float32(kind) or (is_kind.is_dictionary(kind) and is_kind.is_float32(kind.value_type)):
        return new
    if is_kind.is_struct(kind):
        return pa.struct([field.with_type(_with_singles_as(new, field.type)) for field in kind])
    if is_kind.is_map(kind):
        return pa.map_(_with_singles_as(new, kind.key_type), _with_singles_as(new, kind.item_type))
    if not (is_kind.is_list(kind) or is_kind.is_large_list(kind) or is_kind.is_fixed_size_list(kind)):
        return kind
    item = kind.value_field.with_type(_with_singles_as(new, kind.value_type))
    if is_kind.is_fixed_size_list(kind):
        return pa.list_(item, kind.list_size)
    return pa.large_list(item) if is_kind.is_large_list(kind) else pa.list_(item)


def _refuse_twice(names: Collection[str], path: str, where: str) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1 or not name]:
        raise DataError("columns need different names", file=path, field=where, value=twice[0], hint="name every column once")


def _refuse_conflict(file: IO[bytes], path: str, style: dict[str, Any] | None = None) -> None:
    """`DataError` if git has left a merge conflict; in a table with that style of cells one within a cell is text."""
    with closing(_lines(file, path)) as lines:
        found = list(conflicts(lines))
    file.seek(0)
    if found and style:
        ends: list[int] = []
        with closing(_lines(file, path)) as lines, suppress(csv.Error):
            reader = csv.reader(lines, **style)
            ends.extend(reader.line_num for _ in reader)
        file.seek(0)
        found = [(begin, end) for begin, end in found if bisect_left(ends, begin) != bisect_left(ends, end)]
    if found:
        raise DataError(CONFLICT, file=path, field=f"line {found[0][0]}", hint=conflict_hint(path))


def _lines(file: IO[bytes], path: str) -> Generator[str, None, None]:
    """Yield the lines of a text, with their ends; `DataError` names the line that is not in its encoding."""
    start = file.read(4)
    file.seek(0)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    if encoding == "utf-8":
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                shown = line[max(0, error.start - 20) : error.start + 20]
                hint = "save the file as UTF-8, or fix the line"
                raise DataError("is not UTF-8", file=path, field=f"line {number}", value=shown, hint=hint) from error
            yield text.removeprefix("\ufeff") if number == 1 else text
        return
    decoded = TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield from (line for line in decoded)  # `yield from decoded` would close the file with this generator
    finally:
        with suppress(ValueError):  # it is closed already if the reader gave up
            decoded.detach()  # whoever opened the file closes it


def _read_delimited(file: IO[bytes], path: str, separator: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV or TSV file; a row with more or fewer cells than the header is an error, but for empty ones at its end."""
    quotes = '"' if separator == "," or _is_quoted(file, path, separator) else None
    style: dict[str, Any] = {"delimiter": separator, "quotechar": quotes, "quoting": csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE}
    _refuse_conflict(file, path, style)
    lines: Iterator[str] = _lines(file, path)
    if quotes and _is_spaced(file, path, style):
        lines, style["skipinitialspace"] = _plainly_spaced(lines, separator), True
    reader = csv.reader(lines, strict=True, **style)
    try:
        header = next((row for row in reader if row), [])
        while header and not header[-1].strip():
            header.pop()
        names = [name.strip() for name in header]
        _refuse_twice(names, path, "line 1")
        for row in reader:
            if len(row) > len(names) and not any(row[len(names) :]):
                del row[len(names) :]
            if row and len(row) != len(names):
                hint = f'the header has {len(names)}: quote a cell that contains "{separator}", or fix the line'
                raise DataError(f"{len(row)} cells", file=path, field=f"line {reader.line_num}", value=separator.join(row)[:80], hint=hint)
            if any(row):
                yield dict(zip(names, row, strict=True))
    except csv.Error as error:
        hint = "double a quote within a quoted cell, and close every quote"
        raise DataError(f"cannot be read: {error}", file=path, field=f"line {reader.line_num}", hint=hint) from error


def _separator(file: IO[bytes], path: str, kind: str) -> str:
    """Return what separates the cells: in the CSV of some spreadsheets a semicolon or a tab, which is then in a header without commas."""
    with closing(_lines(file, path)) as lines:
        header = next(filter(str.strip, lines), "")
    file.seek(0)
    usual = _SEPARATORS[kind]
    return usual if usual in header else next((other for other in _OTHER_SEPARATORS if other in header), usual)


def _is_quoted(file: IO[bytes], path: str, separator: str) -> bool:
    """Return whether the quotes of a TSV file enclose cells; in many they are text."""
    try:
        lines = _plainly_spaced(_lines(file, path), separator)
        sizes = {len(row) for row in csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True) if row}
    except csv.Error:
        sizes = set()
    file.seek(0)
    return len(sizes) == 1


def _is_spaced(file: IO[bytes], path: str, style: dict[str, Any]) -> bool:
    """Return whether quoted cells have white space before them: whether the file says something else without it."""
    with closing(_lines(file, path)) as lines:
        may_be = any(_space_before_quote(style["delimiter"]).search(line) for line in lines)
    file.seek(0)
    if not may_be:
        return False
    with closing(_lines(file, path)) as lines, suppress(csv.Error):
        one, other = tee(lines)
        spaced = csv.reader(_plainly_spaced(other, style["delimiter"]), skipinitialspace=True, **style)
        both: Iterator[tuple[list[str], list[str]]] = zip_longest(csv.reader(one, **style), spaced, fillvalue=[])
        may_be = any([cell.split() for cell in row] != [cell.split() for cell in again] for row, again in both)
    file.seek(0)
    return may_be


def _plainly_spaced(lines: Iterator[str], separator: str) -> Iterator[str]:
    """Yield the lines with plain spaces for other white space before a quote."""
    before = _space_before_quote(separator)
    return (before.sub(lambda found: found[1] + " " * len(found[2]), line) for line in lines)


def _space_before_quote(separator: str) -> re.Pattern[str]:
    return re.compile(rf'(^|{re.escape(separator)})([^\S\r\n{re.escape(separator)}]+)(?=")')


def _read_json(binary: IO[bytes], path: str, kind: str | None) -> Iterator[dict[str, Any]]:
    _refuse_conflict(binary, path)
    lines = _lines(binary, path)
    if kind == ".json" and (values := _whole("".join(lines))) is not None:
        if not isinstance(values, list):
            raise DataError("expected a list of objects", file=path, hint="give a JSON list or JSON lines")
        for number, value in enumerate(values, start=1):
            if not isinstance(value, dict):
                raise DataError("expected an object", file=path, field=f"item {number}", value=str(value)[:80], hint="fix or drop the item")
            yield value
        return
    if kind == ".json":
        binary.seek(0)
        lines = _lines(binary, path)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parse_line(line.strip(), path, number)


def _whole(text: str) -> Any:
    """Return the value of a `.json` file; None if it holds JSON lines, as some files of that name do."""
    try:
        return _decode(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data" or not text.lstrip().startswith("{"):
            raise
        return None


def _decode(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return values


def _parse_line(line: str, path: str, number: int) -> dict[str, Any]:
    try:
        value, problem = _decode(line), "expected a JSON object"
    except (ValueError, RecursionError) as error:
        value, problem = None, f"not valid JSON: {getattr(error, 'msg', error)}"
    if not isinstance(value, dict):
        raise DataError(problem, file=path, field=f"line {number}", value=line[:80], hint="fix or drop the line")
    return value
