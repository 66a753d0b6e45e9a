"""What a run of a stage depends on: the SHA-256 of its data and code, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, sha256_json
from ascl_core.config.params import load_params
from ascl_core.errors import WorkspaceError
from tasks.registry.code import code_digests
from tasks.registry.paths import PARAMETERS
from tasks.registry.sources import source_paths
from tasks.registry.stages import WRITTEN, Artifact, ArtifactKind, Stage


@dataclass(frozen=True)
class Dependencies:
    """Everything that determines what a stage produces."""

    data: Mapping[str, str]
    """SHA-256 of each input and of each local prompt source, by path."""
    code: Mapping[str, str]
    """The digest of what each file of code means, by path."""
    parameters: Mapping[str, Any]
    """The resolved sections of `params.yaml` that the stage reads."""
    function: str

    @property
    def digest(self) -> str:
        """One SHA-256 over all of it, which identifies the work."""
        return sha256_json([self.function, self.data, self.code, self.parameters])

    @property
    def code_digest(self) -> str:
        """One SHA-256 over the code."""
        return sha256_json(self.code)

    def differences(self, later: Dependencies) -> list[str]:
        """Return what differs from `later`, by path or section."""
        pairs = ((self.data, later.data), (self.code, later.code), (self.parameters, later.parameters))
        return sorted(key for old, new in pairs for key in {*old, *new} if old.get(key) != new.get(key))


def read_dependencies(root: Path, stage: Stage) -> Dependencies:
    """Read the dependencies from disk; `WorkspaceError` names an input that is missing."""
    data = {}
    for artifact in stage.input_artifacts():
        if not (root / artifact.path).exists():
            raise WorkspaceError(
                f"is missing, and {stage.name} needs it",
                file=artifact.path,
                hint=_hint(artifact),
            )
        data[artifact.path] = digest(root / artifact.path, source=artifact.path in WRITTEN)
    params = load_params(root / PARAMETERS)
    data |= {path: digest(root / path) for path in source_paths(root, stage, params)}
    values = params.model_dump(mode="json")
    return Dependencies(
        data=data,
        code=code_digests(root, stage),
        parameters={section: values[section] for section in stage.sections},
        function=stage.function,
    )


def _hint(artifact: Artifact) -> str:
    if not artifact.source:
        return "run the stage that makes it: ascl run"
    own = {ArtifactKind.RAW: "put a table of prompts there (docs/prompts.md); or ", ArtifactKind.RULES: "ascl rules new ID TITLE; or "}
    return f"{own.get(artifact.kind, '')}git checkout -- {artifact.path}"


def short(text: str) -> str:
    """Return a short name that stands for a long text, for locks and folders."""
    return sha256_json(text)[:16]
