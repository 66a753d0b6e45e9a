"""`dvc.lock`: what DVC has recorded of each stage.

DVC overwrites it and may be killed meanwhile: a truncated file is replaced by the last whole one.
"""

from __future__ import annotations

import copy
import functools
import logging
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from ascl_core.artifacts import parse_yaml, refuse_conflict, write_text
from ascl_core.conflicts import conflict_line
from ascl_core.errors import ConfigError
from tasks.registry.paths import DVC_LOCK, DVC_YAML, LAST_DVC_LOCK, PARAMETERS
from tasks.repository import dvc

_log = logging.getLogger(__name__)


def recorded(root: Path) -> dict[str, Any]:
    """Return the stages in `dvc.lock`, read between two recordings; a truncated file is restored first."""
    with dvc.one_at_a_time(root):
        restore_lock(root)
        return read_stages(root)


def recorded_inputs(root: Path) -> dict[str, dict[str, str]]:
    """Return the MD5 of what each stage read in its last run, by name and path, without stages that never ran."""
    with dvc.one_at_a_time(root):
        stages = read_stages(root)
    return {name: md5s({name: entry}, "deps") for name, entry in stages.items()}


def md5s(stages: Mapping[str, Any], kind: Literal["deps", "outs"] = "outs") -> dict[str, str]:
    """Return the MD5 of what these stages wrote or read, by path; of a folder, that of its list of files."""
    return {one["path"]: str(one["md5"]) for entry in stages.values() for one in entry.get(kind, ()) if "md5" in one}


def stages_in(lock: str, *, file: object = DVC_LOCK) -> dict[str, Any]:
    """Return the entry of each stage in the text of a `dvc.lock`; `ConfigError` if it is not one."""
    return copy.deepcopy((_parsed(lock, str(file)) or {}).get("stages") or {})


def read_stages(root: Path) -> dict[str, Any]:
    """Return the entry of each stage in `dvc.lock`; empty if it does not exist. The caller holds DVC's lock."""
    path = root / DVC_LOCK
    return stages_in(path.read_text(encoding="utf-8"), file=path) if path.exists() else {}


def write_stages(root: Path, stages: Mapping[str, Any]) -> None:
    """Write a `dvc.lock` with these entries."""
    from ruamel.yaml import YAML

    text = StringIO()
    YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": dict(stages)}, text)
    write_text(root / DVC_LOCK, text.getvalue())


def _parsed(lock: str, file: str) -> Any:
    try:
        return _parsed_once(lock)
    except ConfigError:
        return parse_yaml(lock, file=file)  # the error, which then names the file


@functools.lru_cache(maxsize=4)
def _parsed_once(lock: str) -> Any:
    """Parse it once, in whichever file it is: a few thousand lines take a second, and one command reads them several times."""
    return parse_yaml(lock)


def is_truncated(lock: Path) -> bool:
    """Return whether `dvc.lock` exists and is not whole, other than by a conflict of git's."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    if conflict_line(read_text(lock)) is not None:
        return False
    if lacks_outputs(read_text(lock)):
        return True
    try:
        COMPILED_LOCKFILE_SCHEMA(copy.deepcopy(_parsed(lock.read_text(encoding="utf-8"), str(lock))))
    except (ConfigError, Invalid, OSError, UnicodeDecodeError):
        return lock.exists()
    return False


def refuse_conflicts(root: Path) -> None:
    """Check that no file that DVC reads has a merge conflict; `ConfigError` names the first that has."""
    for name in (DVC_LOCK, DVC_YAML, PARAMETERS):
        refuse_conflict(read_text(root / name), name, ConfigError)


def lacks_outputs(text: str) -> bool:
    """Return whether a stage in a `dvc.lock` has no outputs, which all of ours have: a truncated one may still parse."""
    return len(re.findall(r"^  [\w-]+:$", text, re.MULTILINE)) != len(re.findall(r"^    outs:$", text, re.MULTILINE))


def restore_lock(root: Path) -> bool:
    """Replace a truncated `dvc.lock` by the last whole one; return whether that was necessary and possible."""
    if not (root / LAST_DVC_LOCK).exists() or not is_truncated(root / DVC_LOCK):
        return False
    _log.warning("dvc.lock was truncated, as DVC was killed while it wrote it; the last whole one is restored")
    write_text(root / DVC_LOCK, read_text(root / LAST_DVC_LOCK) or "schema: '2.0'\n")
    return True


def read_text(path: Path) -> str:
    """Return the text of a `dvc.lock`, whole or not; empty if it does not exist."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
