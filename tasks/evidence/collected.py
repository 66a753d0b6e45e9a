"""What is compared to verify an artifact: the records that it comes from, `dvc.lock`, and the content of all artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.evidence.contents import Content
from tasks.evidence.graph import Found, Graph, Node
from tasks.evidence.snapshot import Snapshot
from tasks.registry.stages import CHECKPOINT, STAGES, Stage

_MADE = {artifact.path for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)}
_VERSIONED = {artifact.path for stage in STAGES for artifact in stage.input_artifacts() if artifact.source}


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about an artifact."""

    found: Found
    stages: tuple[Stage, ...]
    """Those that it comes from; for a candidate checkpoint all that are recorded, as they judge it."""
    contents: dict[str, Content]
    """Of each artifact, source and file of code, by path; without those that are missing."""
    meanings: dict[str, str]
    """The digest of what each file of code means, by path (see `code_digest`)."""
    parameters: dict[str, Any]
    dvc_yaml: str
    is_release: bool

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that the artifact is in."""
        return self.found.snapshot

    @property
    def graph(self) -> Graph:
        """The records of the snapshot."""
        return self.found.graph

    @property
    def is_whole(self) -> bool:
        """Whether everything recorded in the snapshot is compared."""
        return self.found.path == CHECKPOINT

    @property
    def nodes(self) -> list[Node]:
        """The records, in the order of the stages."""
        return [self.graph.nodes[stage.name] for stage in self.stages if stage.name in self.graph.nodes]

    @property
    def sources(self) -> list[str]:
        """The paths of what people write."""
        return list(dict.fromkeys(path for node in self.nodes for path in node.inputs if is_source(path)))

    @property
    def code(self) -> set[str]:
        """The paths of the files of code."""
        return {path for node in self.nodes for path in self.snapshot.code_of(node.stage.name)}

    def entry(self, stage: Stage) -> dict[str, Any]:
        """Return what `dvc.lock` says of the stage."""
        return dict(self.snapshot.stages.get(stage.name) or {})


def is_source(path: str) -> bool:
    """Return whether people write it: no stage does."""
    return path not in _MADE


def is_external_source(path: str) -> bool:
    """Return whether it is a prompt source that the parameters name, which may lie outside the repository."""
    return path not in _MADE and path not in _VERSIONED
