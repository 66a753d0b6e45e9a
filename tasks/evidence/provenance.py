"""What a record says besides its digests: rules, seeds, GPUs, the records that it builds on, and the packages that are installed."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, sha256_file, sha256_json
from ascl_core.errors import DataError
from tasks.evidence.packages import normalised, pins
from tasks.host.gpus import gpus
from tasks.registry.parameters import flat
from tasks.registry.stages import CORPUS, PARALLEL, RL_CORPUS, SFT_CORPUS, STAGES, Stage

SEED = "seed"
_COMPUTE = "compute"
_WHOLE = "torch"
"""A lock that pins it is one of a whole environment, and not of an addition to one."""


def rules(root: Path, stage: Stage, written: Path | None = None) -> dict[str, Any] | None:
    """The digest of the corpus that the stage reads or writes, and of each of its rules by id; None where there is no corpus.

    What it writes is looked for under `written`, where it is before it is published.
    """
    for corpus in (CORPUS, SFT_CORPUS, RL_CORPUS):
        place = written if corpus in stage.outputs.values() else root if corpus in stage.input_artifacts() else None
        if place is not None:
            return _digests(place / corpus.path)
    return None


def _digests(corpus: Path) -> dict[str, Any] | None:
    try:
        content = read_json(corpus)
        return {"digest": content["digest"], "rules": {rule["id"]: sha256_json(rule) for rule in content["rules"]}}
    except (DataError, KeyError, TypeError):
        return None


def seeds(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Every parameter that is named a seed, by its dotted path.

    >>> seeds({"sft": {"seed": 3, "lora": {"seed": 4}}, "rules": {"at": "2026-01-01"}})
    {'sft.seed': 3, 'sft.lora.seed': 4}
    """
    return {path: value for path, value in flat(parameters).items() if path.rpartition(".")[2] == SEED and isinstance(value, int)}


def gpus_of(stage: Stage, parameters: Mapping[str, Any]) -> list[str]:
    """The names of the GPUs on which the stage runs here; none where its parameters or this machine have none."""
    if _COMPUTE not in stage.sections or parameters[_COMPUTE]["device"] == "cpu":
        return []
    return gpus()[: parameters[PARALLEL]["processes"] if PARALLEL in stage.sections else 1]


def parents(root: Path, stage: Stage) -> dict[str, str]:
    """SHA-256 of the record of each stage whose outputs this one reads, by the stage's name."""
    read = set(stage.input_artifacts())
    before = [one for one in STAGES if read.intersection((*one.outputs.values(), one.record))]
    return {one.name: sha256_file(root / one.record.path) for one in before if (root / one.record.path).is_file()}


def installed_lock(folder: Path) -> str | None:
    """The name of the lock of which every package is installed in its version; of several the one with most, None where there is none."""
    found = {lock.name: pinned for lock in sorted(folder.glob("*.lock")) if _WHOLE in (pinned := _pinned(lock))}
    whole = {name: len(pinned) for name, pinned in found.items() if pinned.items() <= _installed().items()}
    return max(whole, key=lambda name: whole[name]) if whole else None


def _pinned(lock: Path) -> dict[str, str]:
    return {name: version.partition("+")[0] for name, version in pins(lock.read_text(encoding="utf-8")).items()}


@functools.cache
def _installed() -> dict[str, str]:
    from importlib.metadata import distributions

    return {normalised(found.name): found.version.partition("+")[0] for found in distributions()}
