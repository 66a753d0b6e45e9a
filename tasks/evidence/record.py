"""The record beside every output: who made it, from what, with which code, parameters and packages, on what."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, sha256_file, sha256_json, sha256_tree
from ascl_core.errors import DataError
from tasks.evidence import provenance
from tasks.registry.dependencies import Dependencies
from tasks.registry.stages import Stage

SCHEMA = "ascl.record/2"
SYNTAX = "syntax"
"""The form of a digest of code that counts what the code means; records without a form count its bytes."""
_OWN = frozenset({"dvc.lock", "data/run.json", "data/lineage.jsonl"})
"""What the pipeline writes beside what is committed; that it is new does not make the code dirty."""
_NEEDED = frozenset({"digest", "inputs", "outputs", "metrics", "ended", "seconds"})


def make_record(
    root: Path,
    stage: Stage,
    dependencies: Dependencies,
    outputs: Mapping[str, str],
    metrics: Mapping[str, Any],
    started: datetime,
    *,
    files: Mapping[str, Mapping[str, str]] | None = None,
    written: Path | None = None,
) -> dict[str, Any]:
    """The record of one finished run of a stage, ready for JSON; times are UTC, digests SHA-256.

    `files` are the digests of the files of outputs, by path; `written` is the folder in which outputs are before they are published.
    """
    ended = datetime.now(UTC)
    seconds = round((ended - started).total_seconds(), 2)
    gpus = provenance.gpus_of(stage, dependencies.parameters)
    return {
        "schema": SCHEMA,
        "stage": stage.name,
        "function": stage.function,
        "digest": dependencies.digest,
        "inputs": dict(dependencies.data),
        "outputs": dict(outputs),
        "files": {path: dict(tree) for path, tree in (files or {}).items() if "" not in tree},
        "source_files": {a.path: sha256_tree(root / a.path) for a in stage.input_artifacts() if a.source and (root / a.path).is_dir()},
        "parents": provenance.parents(root, stage),
        "rules": provenance.rules(root, stage, written),
        "parameters": dict(dependencies.parameters),
        "seeds": provenance.seeds(dependencies.parameters),
        "metrics": dict(metrics),
        "code": code_of(dependencies),
        "git": _git(root),
        "packages": _packages(root),
        "installed": provenance.installed_lock(root / "requirements"),
        "machine": _machine(),
        "gpus": gpus,
        "gpu_seconds": round(seconds * len(gpus), 2),
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "seconds": seconds,
    }


def code_of(dependencies: Dependencies) -> dict[str, Any]:
    """Return what a record says of the code."""
    return {"digest": dependencies.code_digest, "files": len(dependencies.code), "form": SYNTAX}


def read_record(path: Path) -> dict[str, Any] | None:
    """The record in a file; None where there is none, or what is there is no whole record: then nothing is known."""
    try:
        return _whole(read_json(path))
    except DataError:
        return None


def parse_record(content: bytes) -> dict[str, Any] | None:
    """The record in some bytes; None where they are none."""
    try:
        return _whole(json.loads(content))
    except (ValueError, RecursionError):
        return None


def _whole(record: Any) -> dict[str, Any] | None:
    if not isinstance(record, dict) or not set(record) >= _NEEDED:
        return None
    return record if isinstance(record["outputs"], dict) and isinstance(record["inputs"], dict) else None


def _git(root: Path) -> dict[str, Any]:
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(["git", "diff", "HEAD"], cwd=root, capture_output=True, check=False).stdout.decode(errors="replace")
    listed = subprocess.run(["git", "ls-files", "-zo", "--exclude-standard"], cwd=root, capture_output=True, check=False).stdout.decode()
    new = {name: sha256_file(root / name) for name in filter(None, listed.split("\0")) if name not in _OWN and (root / name).is_file()}
    dirty = bool(changed or new)
    return {"revision": revision or None, "dirty": dirty, "diff": sha256_json([changed, new]) if dirty else None}


def _packages(root: Path) -> dict[str, str]:
    return {lock.name: sha256_file(lock) for lock in sorted((root / "requirements").glob("*.lock"))}


def _machine() -> dict[str, Any]:
    return {"python": sys.version.split()[0], "platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
