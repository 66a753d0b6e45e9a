"""The prompt sources of a stage: files and folders that the parameters name, anywhere on this machine.

DVC looks at those that `dvc.yaml` names. The parameters of now may name others, as a plan with changed parameters does, or one
that was missing before; so those of now are compared with the record of the stage's last run, too.
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
    """How the prompt sources of now stand to those of a stage's last run."""

    root: Path
    now: Mapping[str, str]
    """SHA-256 of each that the parameters name and that exists, by path."""
    before: Mapping[str, str] | None
    """SHA-256 of each that the record names, by path; None where there is no record to read."""

    def reasons(self, found: Collection[str]) -> list[str]:
        """What differs, in words; `found` are paths of which DVC says that they changed."""
        places = {_place(self.root, path) for path in found}
        before = dict(self.now) if self.before is None else self.before
        words = {path: "is missing" if not os.path.exists(self.root / path) else "is no source any more" for path in before}  # noqa: PTH110
        for path, sha256 in self.now.items():
            changed = before.get(path) != sha256 or _place(self.root, path) in places
            words[path] = "is new" if path not in before else "changed" if changed else ""
        return [f"{path} {word}" for path, word in words.items() if word]


def source_paths(root: Path, stage: Stage, params: Params) -> tuple[str, ...]:
    """The files and folders that the parameters name for the stage and that exist, each once, as `dvc.yaml` names them.

    One under the root counts from there. What is behind a hub id or a URL, and what is an input of the stage anyway,
    is not among them; nor is one that is missing: whether that is an error is for the stage to say.
    """
    inputs = {artifact.path for artifact in stage.input_artifacts()}
    paths = (_path(root, source) for source in _sources(stage, params))
    return tuple(dict.fromkeys(path for path in paths if path is not None and path not in inputs))


def source_changes(root: Path, stage: Stage, params: Params) -> SourceChanges:
    """The sources of now beside those of the stage's record."""
    now = {path: digest(root / path) for path in source_paths(root, stage, params)}
    return SourceChanges(root, now, _recorded(root, stage))


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
        place = local_path(source.path) if source.path and source.format != "own" else None
    except DataError:
        return None
    if place is None or not os.path.exists(root / place):  # noqa: PTH110  # False, too, where nobody may look
        return None
    path = Path(os.path.normpath(place))
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _place(root: Path, path: str) -> str:
    """The absolute path, as DVC writes that of what lies outside the repository."""
    return os.path.normpath(root.resolve() / path)
