"""DuckDB over the Parquet files of the lineage: it can read nothing else and loads no extension; input is passed as parameters."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from ascl_core.artifacts import atomic_path
from ascl_core.errors import DataError
from tasks.registry.paths import LINEAGE

_MEMORY = "1GB"
_MAGIC = b"PAR1"


@contextmanager
def database(root: Path, *, spill: Path | None = None, also: Sequence[Path] = ()) -> Iterator[DuckDBPyConnection]:
    """Open a database in memory, of at most 1 GB; what does not fit is spilled to the folder `spill`, and is an error without one.

    It can read the folder of the lineage, and the files `also`. `DataError` if a file of the lineage cannot be read.
    """
    with opened(_MEMORY, folders=[root.resolve() / LINEAGE], paths=also, spill=spill) as connection:
        try:
            yield connection
        except (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException) as error:
            problem = f"cannot be read: {str(error).splitlines()[0]}"
            raise DataError(problem, file=LINEAGE, hint=f"rm -r {LINEAGE}: it is written again from the data sets") from error


@contextmanager
def opened(
    memory: str, *, folders: Sequence[Path] = (), paths: Sequence[Path] = (), spill: Path | None = None, ordered: bool = True
) -> Iterator[DuckDBPyConnection]:
    """Open a database in memory, of at most `memory`, that can read only these folders and files; no query can change its settings."""
    settings: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "memory_limit": memory,
        "temp_directory": str(spill.resolve()) if spill else "",
        "preserve_insertion_order": ordered,
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        allowed = [text for folder in folders for text in (str(folder), glob.escape(str(folder)))]
        connection.execute("SET allowed_directories = $folders", {"folders": allowed})
        connection.execute("SET allowed_paths = $files", {"files": [str(path.resolve()) for path in paths] + files(paths)})
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        yield connection


def rows_of(connection: DuckDBPyConnection, query: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the result of a query, a mapping for each row."""
    found = connection.execute(query, values)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def files(paths: Iterable[Path]) -> list[str]:
    """Return paths as `read_parquet` takes them, with wildcards in their names escaped."""
    return [glob.escape(str(path.resolve())) for path in paths]


def is_whole(file: Path) -> bool:
    """Return whether a Parquet file exists and was not cut off."""
    try:
        with open(file, "rb") as opened:
            opened.seek(-len(_MAGIC), 2)
            return opened.read() == _MAGIC
    except OSError:
        return False


def insert(connection: DuckDBPyConnection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows into a table; its name must not come from outside."""
    columns = list(zip(*rows, strict=True))
    if columns:
        values = {f"c{number}": list(column) for number, column in enumerate(columns)}
        connection.execute(f"INSERT INTO {table} SELECT {', '.join(f'unnest(${name})' for name in values)}", values)


def load(connection: DuckDBPyConnection, table: str, file: Path) -> None:
    """Load a table from a file that `dump` wrote, if it exists and is whole."""
    if is_whole(file):
        connection.execute(f"INSERT INTO {table} SELECT * FROM read_parquet($f)", {"f": files([file])})


def dump(connection: DuckDBPyConnection, table: str, file: Path) -> None:
    """Dump a table to a file, atomically."""
    with atomic_path(file) as temporary:
        connection.table(table).write_parquet(str(temporary.resolve()), compression="zstd")
