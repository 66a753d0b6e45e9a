"""`dvc.lock`: what DVC has recorded of each stage, read between two recordings; one that was cut off is replaced by the last whole one."""

from __future__ import annotations

import copy
import functools
import logging
import re
from pathlib import Path
from typing import Any, Literal

from ascl_core.artifacts import parse_yaml, write_text
from ascl_core.errors import ConfigError
from tasks.registry.stages import Stage
from tasks.repository import dvc

_log = logging.getLogger(__name__)
LAST_WHOLE = Path(".ascl/dvc.lock")


def recorded(root: Path) -> dict[str, Any]:
    """The stages in `dvc.lock`, read between two recordings; one that was cut off is brought back before."""
    with dvc.one_at_a_time(root):
        if is_torn(root / "dvc.lock"):
            bring_lock_back(root)
        return read_stages(root)


def recorded_inputs(root: Path) -> dict[str, dict[str, str]]:
    """MD5 of what each stage, by name, read when it last ran, by path; a stage that never ran is not among them."""
    with dvc.one_at_a_time(root):
        stages = read_stages(root)
    return {name: {dep["path"]: str(dep.get("md5")) for dep in entry.get("deps", ())} for name, entry in stages.items()}


def locked(root: Path, stage: Stage, kind: Literal["deps", "outs"]) -> dict[str, str]:
    """The MD5 of what the stage read or wrote when `dvc.lock` was written, by path; of a folder, that of its list of files."""
    return {entry["path"]: str(entry.get("md5")) for entry in read_stages(root).get(stage.name, {}).get(kind, ())}


def stages_in(lock: str, *, file: object = "dvc.lock") -> dict[str, Any]:
    """What the text of a `dvc.lock` says of each stage; `ConfigError` where it is none."""
    return copy.deepcopy((_parsed(lock, str(file)) or {}).get("stages") or {})


def read_stages(root: Path) -> dict[str, Any]:
    """Return what `dvc.lock` says of each stage; empty where there is none. The caller holds DVC's lock."""
    path = root / "dvc.lock"
    return stages_in(path.read_text(encoding="utf-8"), file=path) if path.exists() else {}


@functools.lru_cache(maxsize=4)
def _parsed(lock: str, file: str) -> Any:
    """Reading it takes a second for a few thousand lines, and one command reads it several times."""
    return parse_yaml(lock, file=file)


def is_torn(lock: Path) -> bool:
    """Whether `dvc.lock` is not whole, and not because people's versions of it conflict."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    if "<<<<<<<" in read_text(lock):
        return False
    if lacks_outputs(read_text(lock)):
        return True
    try:
        COMPILED_LOCKFILE_SCHEMA(copy.deepcopy(_parsed(lock.read_text(encoding="utf-8"), str(lock))))
    except (ConfigError, Invalid, OSError, UnicodeDecodeError):
        return lock.exists()
    return False


def lacks_outputs(text: str) -> bool:
    """Whether a stage in a `dvc.lock` has no outputs, which all of ours have: it was cut off between two lines, and can still be read."""
    return len(re.findall(r"^  [\w-]+:$", text, re.MULTILINE)) != len(re.findall(r"^    outs:$", text, re.MULTILINE))


def bring_lock_back(root: Path) -> bool:
    """Put the last readable `dvc.lock` in place of one that is cut off: DVC writes it in place, and may be killed meanwhile."""
    if not (root / LAST_WHOLE).exists() or not is_torn(root / "dvc.lock"):
        return False
    _log.warning("dvc.lock was cut off, as DVC was killed while it wrote it: the last whole one is back")
    write_text(root / "dvc.lock", read_text(root / LAST_WHOLE) or "schema: '2.0'\n")
    return True


def read_text(path: Path) -> str:
    """Return the text of a `dvc.lock`, cut off or not; empty where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
