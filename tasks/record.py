"""The record beside every output: who made it, from what, with which code, parameters and packages, on what."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, sha256_file, sha256_json
from ascl_core.errors import DataError
from tasks.digests import Dependencies
from tasks.stages import Stage

SCHEMA = "ascl.record/1"
_NEEDED = frozenset({"digest", "inputs", "outputs", "metrics", "ended", "seconds"})


def make_record(
    root: Path, stage: Stage, dependencies: Dependencies, outputs: Mapping[str, str], metrics: Mapping[str, Any], started: datetime
) -> dict[str, Any]:
    """The record of one finished run of a stage, ready for JSON; times are UTC, digests SHA-256."""
    ended = datetime.now(UTC)
    return {
        "schema": SCHEMA,
        "stage": stage.name,
        "function": stage.function,
        "digest": dependencies.digest,
        "inputs": dict(dependencies.data),
        "outputs": dict(outputs),
        "parameters": dict(dependencies.parameters),
        "metrics": dict(metrics),
        "code": {"digest": sha256_json(dependencies.code), "files": len(dependencies.code)},
        "git": _git(root),
        "packages": _packages(root),
        "machine": _machine(),
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "seconds": round((ended - started).total_seconds(), 2),
    }


def read_record(path: Path) -> dict[str, Any] | None:
    """The record in a file; None where there is none, or what is there is no whole record: then nothing is known."""
    try:
        record = read_json(path)
    except DataError:
        return None
    return record if isinstance(record, dict) and set(record) >= _NEEDED and isinstance(record["outputs"], dict) else None


def _git(root: Path) -> dict[str, Any]:
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(["git", "diff", "HEAD"], cwd=root, capture_output=True, check=False).stdout.decode(errors="replace")
    listed = subprocess.run(["git", "ls-files", "-zo", "--exclude-standard"], cwd=root, capture_output=True, check=False).stdout.decode()
    new = {name: sha256_file(root / name) for name in filter(None, listed.split("\0")) if name != "dvc.lock" and (root / name).is_file()}
    dirty = bool(changed or new)
    return {"revision": revision or None, "dirty": dirty, "diff": sha256_json([changed, new]) if dirty else None}


def _packages(root: Path) -> dict[str, str]:
    return {lock.name: sha256_file(lock) for lock in sorted((root / "requirements").glob("*.lock"))}


def _machine() -> dict[str, Any]:
    return {"python": sys.version.split()[0], "platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
