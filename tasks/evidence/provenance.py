"""What a record says besides its digests: rules, seeds, commit, packages, machine, and the records that it builds on."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, sha256_file, sha256_json
from ascl_core.errors import DataError
from tasks.evidence.packages import normalised, pins
from tasks.host.gpus import gpus
from tasks.registry.parameters import flat
from tasks.registry.stages import PARALLEL, STAGES, ArtifactKind, Stage

SEED = "seed"
_COMPUTE = "compute"
_WHOLE = "torch"
"""A lock that pins it is the lock of a whole environment; others only add to one."""
_PIPELINE_FILES = frozenset({"dvc.lock", "data/run.json", "data/lineage.jsonl"})
"""What the pipeline itself writes into the repository: as new files they do not make the code dirty."""


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
    read = set(stage.input_artifacts())
    before = [one for one in STAGES if read.intersection((*one.outputs.values(), one.record))]
    return {one.name: sha256_file(root / one.record.path) for one in before if (root / one.record.path).is_file()}


def git_state(root: Path) -> dict[str, Any]:
    """Return the commit that is checked out, and whether and with which digest files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False).stdout.decode(errors="replace")

    changed, listed = git("diff", "HEAD"), filter(None, git("ls-files", "-zo", "--exclude-standard").split("\0"))
    new = {name: sha256_file(root / name) for name in listed if name not in _PIPELINE_FILES and (root / name).is_file()}
    dirty = bool(changed or new)
    return {"revision": git("rev-parse", "HEAD").strip() or None, "dirty": dirty, "diff": sha256_json([changed, new]) if dirty else None}


def packages(root: Path) -> dict[str, str]:
    """Return the SHA-256 of each lock of packages."""
    return {lock.name: sha256_file(lock) for lock in sorted((root / "requirements").glob("*.lock"))}


def machine() -> dict[str, Any]:
    """Return what is recorded of this machine."""
    return {"python": sys.version.split()[0], "platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}


def installed_lock(folder: Path) -> str | None:
    """Return the name of the lock of which every package is installed in its version, the largest if several are; else None."""
    locks = {lock.name: _public_versions(pins(lock.read_text(encoding="utf-8"))) for lock in sorted(folder.glob("*.lock"))}
    complete = {name: len(pinned) for name, pinned in locks.items() if _WHOLE in pinned and pinned.items() <= _installed().items()}
    return max(complete, key=lambda name: complete[name], default=None)


@functools.cache
def _installed() -> dict[str, str]:
    from importlib.metadata import distributions

    return _public_versions({normalised(found.name): found.version for found in distributions()})


def _public_versions(versions: Mapping[str, str]) -> dict[str, str]:
    """Cut off local versions, such as `+cpu`."""
    return {name: version.partition("+")[0] for name, version in versions.items()}
