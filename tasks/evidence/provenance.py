"""What a record says besides its digests: rules, seeds, commit, packages, machine, and the records that it builds on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, sha256_file, sha256_json
from ascl_core.errors import DataError, WorkspaceError
from tasks.host.gpus import gpus
from tasks.host.interpreter import stage_interpreter
from tasks.host.packages import pins, public
from tasks.registry.parameters import flat
from tasks.registry.paths import REQUIREMENTS
from tasks.registry.stages import PARALLEL, ArtifactKind, Stage, upstream
from tasks.repository.changes import changes_from_head, printable
from tasks.repository.git import commit_of

SEED = "seed"
_COMPUTE = "compute"
_WHOLE = "torch"
"""A lock that pins it is the lock of a whole environment; others only add to one."""


def rules(root: Path, stage: Stage, written: Path | None = None) -> dict[str, Any] | None:
    """Return the digest of the corpus that the stage reads or writes, and of each of its rules by id; None without a corpus.

    What the stage writes is read under `written`, where it is before it is published.
    """
    candidates = [
        *((written, artifact) for artifact in stage.outputs.values()),
        *((root, artifact) for artifact in stage.input_artifacts()),
    ]
    found = next(((folder, one) for folder, one in candidates if folder is not None and one.kind == ArtifactKind.CORPUS), None)
    if found is None:
        return None
    try:
        content = read_json(found[0] / found[1].path)
        return {"digest": content["digest"], "rules": {rule["id"]: sha256_json(rule) for rule in content["rules"]}}
    except (DataError, KeyError, TypeError):
        return None


def seeds(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Return every parameter that is named a seed, by its dotted path.

    >>> seeds({"sft": {"seed": 3, "lora": {"seed": 4}}, "rules": {"at": "2026-01-01"}})
    {'sft.seed': 3, 'sft.lora.seed': 4}
    """
    return {path: value for path, value in flat(parameters).items() if path.rpartition(".")[2] == SEED and isinstance(value, int)}


def gpus_of(stage: Stage, parameters: Mapping[str, Any]) -> list[str]:
    """Return the names of the GPUs on which the stage runs here."""
    if _COMPUTE not in stage.sections or parameters[_COMPUTE]["device"] == "cpu":
        return []
    return gpus()[: parameters[PARALLEL]["processes"] if PARALLEL in stage.sections else 1]


def parents(root: Path, stage: Stage) -> dict[str, str]:
    """Return the SHA-256 of the record of each stage whose outputs this one reads, by the stage's name."""
    records = {one.name: root / one.record.path for one in upstream(stage).values()}
    return {name: sha256_file(file) for name, file in records.items() if file.is_file()}


def git_state(root: Path) -> dict[str, Any]:
    """Return the commit that is checked out, and whether and with which digest files on disk differ from it; no revision outside of git.

    `WorkspaceError` if git refuses to look: a record never calls a tree clean that nobody compared.
    """
    try:
        revision = commit_of(root, "HEAD")
    except WorkspaceError as error:
        if "not a git repository" not in error.problem:
            raise
        return {"revision": None, "dirty": False, "diff": None}
    changes = printable(changes_from_head(root))
    return {"revision": revision, "dirty": bool(changes), "diff": sha256_json(changes) if changes else None}


def packages(root: Path) -> dict[str, str]:
    """Return the SHA-256 of each lock of packages."""
    return {lock.name: sha256_file(lock) for lock in sorted((root / REQUIREMENTS).glob("*.lock"))}


def machine() -> dict[str, Any]:
    """Return what is recorded of this machine, and the version of Python that ran the stage."""
    return {
        "python": stage_interpreter().version,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }


def installed_lock(folder: Path) -> str | None:
    """Return the name of the lock of which every package is installed where stages run, the largest if several are; else None."""
    locks = {lock.name: public(pins(lock.read_text(encoding="utf-8"))) for lock in sorted(folder.glob("*.lock"))}
    installed = public(stage_interpreter().packages)
    complete = {name: len(pinned) for name, pinned in locks.items() if _WHOLE in pinned and pinned.items() <= installed.items()}
    return max(complete, key=lambda name: complete[name], default=None)
