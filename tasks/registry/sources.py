"""The prompt sources of a stage: files and folders that the parameters name, anywhere on this machine.

DVC compares those that `dvc.yaml` names. The current parameters may name others, as in a plan with changed parameters, or one that was
missing before, so the current ones are also compared with the record of the stage's last run.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import digest, read_json
from ascl_core.config.params import Params
from ascl_core.config.sources import SourceConfig
from ascl_core.data.locations import local_path
from ascl_core.errors import DataError
from tasks.registry.stages import Stage


@dataclass(frozen=True)
class SourceChanges:
    """The current prompt sources of a stage, and those of its last run."""

    root: Path
    current: Mapping[str, str]
    """SHA-256 of each source that the parameters name and that exists, by path."""
    recorded: Mapping[str, str] | None
    """SHA-256 of each source that the record names, by path; None without a record."""

    def reasons(self, found: Collection[str]) -> list[str]:
        """Return what differs, in words; `found` are the paths that DVC found changed."""
        changed_paths = {_absolute(self.root, path) for path in found}
        before = dict(self.current) if self.recorded is None else self.recorded
        words = {path: "is missing" if not os.path.exists(self.root / path) else "is no source any more" for path in before}  # noqa: PTH110
        for path, sha256 in self.current.items():
            changed = before.get(path) != sha256 or _absolute(self.root, path) in changed_paths
            words[path] = "is new" if path not in before else "changed" if changed else ""
        return [f"{path} {word}" for path, word in words.items() if word]


def source_paths(root: Path, stage: Stage, params: Params) -> tuple[str, ...]:
    """Return the existing files and folders that the parameters name for the stage, each once, as `dvc.yaml` names them.

    A path under the root is relative to it. Hub ids, URLs and inputs of the stage are left out, and so are missing files, about which the
    stage decides.
    """
    inputs = {artifact.path for artifact in stage.input_artifacts()}
    paths = (_path(root, source) for source in _sources(stage, params))
    return tuple(dict.fromkeys(path for path in paths if path is not None and path not in inputs))


def source_changes(root: Path, stage: Stage, params: Params) -> SourceChanges:
    """Return the current sources and those of the stage's record."""
    current = {path: digest(root / path) for path in source_paths(root, stage, params)}
    return SourceChanges(root, current, _recorded(root, stage))


def _recorded(root: Path, stage: Stage) -> dict[str, str] | None:
    if stage.sources is None:
        return {}
    inputs = {artifact.path for artifact in stage.input_artifacts()}
    try:
        return {path: sha256 for path, sha256 in read_json(root / stage.record.path)["inputs"].items() if path not in inputs}
    except (DataError, KeyError, TypeError, AttributeError):
        return None


def _sources(stage: Stage, params: Params) -> tuple[SourceConfig, ...]:
    if stage.sources is None:
        return ()
    section, _, key = stage.sources.partition(".")
    return tuple(getattr(getattr(params, section), key))


def _path(root: Path, source: SourceConfig) -> str | None:
    try:
        location = local_path(source) if source.format != "own" else None
    except DataError:
        return None
    if location is None or not os.path.exists(root / location):  # noqa: PTH110  # False without permission to look
        return None
    path = Path(os.path.normpath(location))
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _absolute(root: Path, path: str) -> str:
    """Return the absolute path, as DVC writes paths outside the repository."""
    return os.path.normpath(root.resolve() / path)
