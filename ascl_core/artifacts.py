"""Reading and writing files: every write is atomic, every read error names the file.

A path may be local or any fsspec URL (`s3://bucket/key`); callers need not care which.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` by rename if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """`value` as JSON with sorted keys, so that equal values give equal bytes; NaN is refused."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as sorted JSON, atomically."""
    write_text(path, to_json(value))


def read_json(path: str | Path) -> Any:
    """The JSON value in a file; `DataError` names the file and position otherwise."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, mend="run the stage that makes it: ascl run") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not valid JSON: {error}", file=path, mend="restore the file: dvc checkout") from error


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one sorted JSON object a line, atomically."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(to_json(row, indent=None))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; `DataError` names the file and the line otherwise."""
    rows: list[dict[str, Any]] = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError("expected a JSON object", file=path, field=f"line {number}", value=line.strip()[:80])
                rows.append(row)
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, mend="check the path, or run the stage that makes it") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not valid JSON lines: {error}", file=path, mend="mend or restore the file") from error
    return rows


def read_yaml(path: str | Path) -> Any:
    """The plain values of a YAML file, read safely; `ConfigError` names the line otherwise."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError("file does not exist", file=path, mend="check the path") from error
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark is not None else None
        raise ConfigError(f"not valid YAML: {getattr(error, 'problem', error)}", file=path, field=line, mend="mend the syntax") from error


def write_parquet(path: str | Path, table: pa.Table) -> None:
    """Write an Arrow table as Parquet, atomically and with the same bytes for the same table."""
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_parquet(path: str | Path, columns: list[str] | None = None) -> pa.Table:
    """The Arrow table of a Parquet file; `DataError` names the file otherwise."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, mend="run the stage that makes it: ascl run") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"not a readable Parquet file: {error}", file=path, mend="restore it: dvc checkout") from error


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_tree(path: str | Path) -> dict[str, str]:
    """SHA-256 of each file under a folder (or of one file, under the key `""`), by relative path."""
    path = Path(path)
    if path.is_file():
        return {"": sha256_file(path)}
    return {str(file.relative_to(path)): sha256_file(file) for file in sorted(path.rglob("*")) if file.is_file()}


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's sorted, compact JSON: the identity of anything that is data."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest(path: str | Path) -> str:
    """One SHA-256 for a file or for a folder (over its sorted relative paths and their digests)."""
    tree = sha256_tree(path)
    return tree[""] if set(tree) == {""} else sha256_json(tree)
