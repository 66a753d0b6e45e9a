"""What is looked at to verify an artifact: the records it comes from, `dvc.lock`, and the bytes of all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.evidence.contents import Content
from tasks.evidence.graph import Found, Graph, Node
from tasks.evidence.snapshot import Place
from tasks.registry.stages import CHECKPOINT, STAGES, Stage

_MADE = {artifact.path for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)}
_VERSIONED = {artifact.path for stage in STAGES for artifact in stage.input_artifacts() if artifact.source}


@dataclass(frozen=True)
class Evidence:
    """All that is at hand about an artifact."""

    found: Found
    stages: tuple[Stage, ...]
    """Those that it comes from; for a candidate checkpoint all that are recorded with it, as they judge it."""
    contents: dict[str, Content]
    """What lies at the path of each artifact, source and file of code; what is missing is not among them."""
    meanings: dict[str, str]
    """The digest of what each file of code means, by path (see `code_digest`)."""
    parameters: dict[str, Any]
    dvc_yaml: str
    is_release: bool

    @property
    def place(self) -> Place:
        """Where."""
        return self.found.place

    @property
    def graph(self) -> Graph:
        """The records there."""
        return self.found.graph

    @property
    def is_whole(self) -> bool:
        """Whether all that is recorded there is looked at."""
        return self.found.path == CHECKPOINT

    @property
    def nodes(self) -> list[Node]:
        """The records, in the order of the stages."""
        return [self.graph.nodes[stage.name] for stage in self.stages if stage.name in self.graph.nodes]

    def entry(self, stage: Stage) -> dict[str, Any]:
        """What `dvc.lock` says of the stage."""
        return dict(self.place.stages.get(stage.name) or {})


def is_people_s(path: str) -> bool:
    """Whether no stage makes it."""
    return path not in _MADE


def is_anywhere(path: str) -> bool:
    """Whether it is a prompt source that the parameters name, which need not be in the repository."""
    return path not in _MADE and path not in _VERSIONED
