"""What a run of a stage depends on, by SHA-256: the data, the code and the parameters, before it and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, sha256_json
from ascl_core.config.params import load_params
from ascl_core.errors import WorkspaceError
from tasks.registry.code import code_digests
from tasks.registry.sources import source_paths
from tasks.registry.stages import Stage


@dataclass(frozen=True)
class Dependencies:
    """Everything that decides what a stage produces."""

    data: Mapping[str, str]
    """SHA-256 of each input and of each local prompt source, by path."""
    code: Mapping[str, str]
    """The digest of what each file of code means, by path."""
    parameters: Mapping[str, Any]
    """The resolved sections of `params.yaml` that the stage reads."""
    function: str

    @property
    def digest(self) -> str:
        """One SHA-256 over all of it: the identity of the work."""
        return sha256_json([self.function, self.data, self.code, self.parameters])

    @property
    def code_digest(self) -> str:
        """One SHA-256 over the code."""
        return sha256_json(self.code)

    def moved(self, later: Dependencies) -> list[str]:
        """What differs from `later`, by path or section."""
        pairs = ((self.data, later.data), (self.code, later.code), (self.parameters, later.parameters))
        return sorted(key for old, new in pairs for key in {*old, *new} if old.get(key) != new.get(key))


def read_dependencies(root: Path, stage: Stage) -> Dependencies:
    """Read them all from disk; `WorkspaceError` names an input that is missing."""
    data = {}
    for artifact in stage.input_artifacts():
        if not (root / artifact.path).exists():
            raise WorkspaceError(
                f"is missing, and {stage.name} needs it",
                file=artifact.path,
                hint=f"git checkout -- {artifact.path}" if artifact.source else "run the stage that makes it: ascl run",
            )
        data[artifact.path] = digest(root / artifact.path)
    params = load_params(root / "params.yaml")
    data |= {path: digest(root / path) for path in source_paths(root, stage, params)}
    values = params.model_dump(mode="json")
    return Dependencies(
        data=data,
        code=code_digests(root, stage),
        parameters={section: values[section] for section in stage.sections},
        function=stage.function,
    )


def short(text: str) -> str:
    """A short name for a long text, for locks and folders."""
    return sha256_json(text)[:16]
