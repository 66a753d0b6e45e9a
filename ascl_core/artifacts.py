"""Reading and writing files: every write is atomic, every read error names the file.

A path may be local or any fsspec URL (`s3://bucket/key`); callers need not care which.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.conflicts import CONFLICT, conflict_hint, conflict_line
from ascl_core.errors import AsclError, ConfigError, DataError
from ascl_core.stray import is_stray

if TYPE_CHECKING:
    import pyarrow as pa
    from ruamel.yaml.events import Event
    from ruamel.yaml.nodes import Node

_MAX_ALIASED = 20_000
_MAX_DEPTH = 100


def is_within(path: str | Path, folder: str | Path) -> bool:
    """Return whether a path, with all its links resolved, lies in the folder; neither need exist."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


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
    """Return `value` as JSON with sorted keys, so that equal values give equal bytes; NaN is refused."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as sorted JSON, atomically."""
    write_text(path, to_json(value))


def refuse_conflict(text: str, file: object | None, kind: type[AsclError]) -> None:
    """Raise an error of that kind, with line and fix, if git has left a merge conflict in a text."""
    if (line := conflict_line(text)) is not None:
        raise kind(CONFLICT, file=file, field=f"line {line}", hint=conflict_hint(file or "FILE"))


def read_json(path: str | Path) -> Any:
    """Return the JSON value in a file; `DataError` names the file and the position of what is wrong."""
    with _reading(path, "JSON"):
        text = Path(path).read_text(encoding="utf-8")
        refuse_conflict(text, path, DataError)
        return json.loads(text)


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one sorted JSON object a line, atomically."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(to_json(row, indent=None))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file; `DataError` names the file and the line of what is wrong."""
    rows: list[dict[str, Any]] = []
    with _reading(path, "JSON lines"), open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise DataError("expected a JSON object", file=path, field=f"line {number}", value=line.strip()[:80])
            rows.append(row)
    return rows


@contextmanager
def _reading(path: str | Path, form: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a `DataError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, hint="run the stage that makes it: ascl run") from error
    except (ValueError, RecursionError) as error:  # broken, not UTF-8, a number of thousands of digits, endless nesting
        raise DataError(f"not valid {form}: {error}", file=path, hint="restore the file: dvc checkout") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=path, hint="give a file that can be read") from error


def read_yaml(path: str | Path) -> Any:
    """Return the plain values of a YAML file, read safely; `ConfigError` names the line of what is wrong."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError("file does not exist", file=path, hint="check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"not valid YAML: {error}", file=path, hint="save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path, hint="check the path") from error
    return parse_yaml(text, file=path)


def parse_yaml(text: str, *, file: object | None = None, field: str | None = None) -> Any:
    """Return the plain values of a YAML text; a `ConfigError` names `field`, or else the line of what is wrong.

    Endless nesting is refused, and so are aliases that contain themselves or expand to more values than any file here needs: a few
    lines of them can expand to gigabytes. A few aliases that repeat a value, as DVC may write them, are read.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    refuse_conflict(text, file, ConfigError)
    yaml = YAML(typ="safe")
    root: Node | None = None

    def wrong(problem: str, line: int | None, value: object, hint: str) -> ConfigError:
        return ConfigError(problem, file=file, field=field or (f"line {line}" if line else None), value=value, hint=hint)

    try:
        _refuse_depth(YAML(typ="safe").parse(text))
        root = yaml.compose(text)
        if root is None:
            return None
        if (line := _too_many_aliases(root, {})) is not None:
            raise wrong(f"aliases expand to more than {_MAX_ALIASED:,} values, or contain themselves", line, None, "write the values out")
        return yaml.constructor.construct_document(root)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = (getattr(error, "problem", None) or str(error)).splitlines()[0]
        value = None if field is None else text
        raise wrong(f"not valid YAML: {problem}", mark.line + 1 if mark else None, value, "fix the syntax, or quote the text") from error
    except (ValueError, OverflowError, LookupError, AttributeError) as error:  # 2026-02-30, or a number of thousands of digits
        bad = None if root is None else _no_value(root, YAML(typ="safe", pure=True).constructor, set())
        line, value = (bad.start_mark.line + 1, bad.value) if bad is not None else (None, text)
        raise wrong(f"not a value: {error}", line, value, "correct it, or quote it as text") from error
    except RecursionError as error:
        raise wrong("nested too deep", None, text, "no parameter needs such nesting: correct it") from error


def _refuse_depth(events: Iterable[Event]) -> None:
    """Raise `RecursionError` if values are nested so deep that libyaml, which recurses without a limit, could crash the process."""
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise RecursionError


def _too_many_aliases(root: Node, sizes: dict[int, int]) -> int | None:
    """Return the line of the first node whose expanded aliases have too many values or contain the node itself; None if there is none."""
    from ruamel.yaml.nodes import ScalarNode

    if isinstance(root, ScalarNode):
        return None
    sizes[id(root)] = _MAX_ALIASED + 1  # as long as it is not counted: an alias in it to itself is endless
    size, aliased = 1, False
    for node in _below(root):
        aliased = aliased or id(node) in sizes
        if id(node) not in sizes and (line := _too_many_aliases(node, sizes)) is not None:
            return line
        size += sizes.get(id(node), 1)
        if aliased and size > _MAX_ALIASED:
            return int(root.start_mark.line) + 1
    sizes[id(root)] = size
    return None


def _no_value(node: Node, constructor: Any, seen: set[int]) -> Node | None:
    """Return the first scalar that looks like a value but is not valid, such as 2026-02-30."""
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import ScalarNode

    if id(node) in seen:
        return None
    seen.add(id(node))
    if not isinstance(node, ScalarNode):
        return next((found for below in _below(node) if (found := _no_value(below, constructor, seen)) is not None), None)
    try:
        constructor.construct_object(node)
    except YAMLError:  # `<<` is no value of its own
        return None
    except (ValueError, OverflowError, LookupError, AttributeError):
        return node
    return None


def _below(node: Any) -> list[Node]:
    """Return the nodes of a list, or the keys and values of a mapping."""
    return [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]


def write_parquet(path: str | Path, table: pa.Table) -> None:
    """Write an Arrow table as Parquet, atomically and with the same bytes for the same table."""
    with parquet_writer(path, table.schema) as write:
        write(table)


@contextmanager
def parquet_writer(path: str | Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that appends a table to a Parquet file as a row group; the file appears, atomically, if the block succeeds."""
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        yield writer.write_table


def read_parquet(path: str | Path, columns: list[str] | None = None) -> pa.Table:
    """Return the Arrow table of a Parquet file; `DataError` names a file that is missing or broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, hint="run the stage that makes it: ascl run") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"not a readable Parquet file: {error}", file=path, hint="restore it: dvc checkout") from error


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of some bytes, as hex."""
    return hashlib.sha256(content).hexdigest()


def files_under(path: str | Path, *, source: bool = False) -> list[Path]:
    """Return the files under a folder, sorted; of what people write (`source`) without those that editors and desktops leave.

    `DataError` if a name is not UTF-8.
    """
    path = Path(path)
    found = [file for file in sorted(path.rglob("*")) if not (source and is_stray(file.relative_to(path))) and file.is_file()]
    for file in found:
        if not _is_utf8(file.name):
            shown = os.fsencode(file.name).decode(errors="backslashreplace")
            raise DataError("the name of a file is not UTF-8", file=path, value=shown, hint="rename it, or move it out of the folder")
    return found


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def sha256_tree(path: str | Path, *, source: bool = False) -> dict[str, str]:
    """Return the SHA-256 of each of `files_under` a folder, by relative path; of one file, under the key `""`."""
    path = Path(path)
    if path.is_file():
        return {"": sha256_file(path)}
    return {str(file.relative_to(path)): sha256_file(file) for file in files_under(path, source=source)}


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a value's sorted, compact JSON: the identity of anything that is data."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest(path: str | Path, *, source: bool = False) -> str:
    """Return one SHA-256 for a file, or for a folder (over its sorted relative paths and their digests, as in `sha256_tree`)."""
    return tree_digest(sha256_tree(path, source=source))


def tree_digest(tree: Mapping[str, str]) -> str:
    """Return the same digest from what `sha256_tree` returned."""
    return tree[""] if set(tree) == {""} else sha256_json(dict(tree))
