"""What is compared to verify an artifact: the records that it comes from, `dvc.lock`, and the content of all artifacts.

Outputs are read on disk, or for a commit from the cache, into which what is missing is fetched. Sources, code and parameters are read on
disk, or from a commit: for a release from that of its run, as old releases replaced `data/released`, which its stages had read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import is_within, parse_yaml
from ascl_core.errors import DataError, WorkspaceError
from tasks.evidence.contents import Content, OnBytes, read_contents
from tasks.evidence.graph import Found, Graph, Node
from tasks.evidence.snapshot import Snapshot, files_on_disk
from tasks.registry.code import PACKAGE
from tasks.registry.paths import DVC_LOCK, DVC_YAML, LINEAGE, PARAMETERS, RUN_SUMMARY
from tasks.registry.stages import CHECKPOINT, STAGES, Stage
from tasks.registry.syntax import code_digest
from tasks.repository.git import export, git
from tasks.repository.outputs import fetch_to_cache
from tasks.repository.worktrees import temporary_worktree

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
    summary: dict[str, Any]
    """What the commit of a run, or of its release, says of the run; empty if there is none."""

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

    def json(self, path: str) -> dict[str, Any]:
        """Return the JSON object in an artifact; empty if the file is not available or holds anything else."""
        return self.snapshot.json(path) or {}


def is_source(path: str) -> bool:
    """Return whether people write it: no stage does."""
    return path not in _MADE


def is_external_source(path: str) -> bool:
    """Return whether it is a prompt source that the parameters name, which may lie outside the repository."""
    return path not in _MADE and path not in _VERSIONED


@contextmanager
def collected(found: Found, on_bytes: OnBytes = lambda done, total: None, *, written_in: str | None = None) -> Iterator[Evidence]:
    """Yield the evidence about an artifact, for which every file is read; unpacked files are removed afterwards.

    `written_in` is the commit with the files that people wrote, if that is not the snapshot's own.
    """
    snapshot, root = found.snapshot, found.snapshot.root
    stages = _stages(found)
    outputs = [artifact.path for stage in stages for artifact in (*stage.outputs.values(), stage.record)]
    fetch_missing(snapshot, outputs)
    (root / LINEAGE).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / LINEAGE, prefix="verify-") as folder:
        nodes = [found.graph.nodes[stage.name] for stage in stages if stage.name in found.graph.nodes]
        sources = [path for node in nodes for path in node.inputs if is_source(path)]
        base = snapshot.folder or _unpacked(root, Path(folder), written_in or str(snapshot.commit), sources)
        code = [path for stage in stages for path in snapshot.code_of(stage.name)]
        inside = (path for path in dict.fromkeys([*sources, *code]) if is_within(base / path, base) or not snapshot.commit)
        located = {path: files_on_disk(base / path) for path in inside}
        located |= {path: {name: file for name, file in snapshot.files(path).items() if file} for path in outputs}
        contents = read_contents({path: files for path, files in located.items() if files}, on_bytes)
        parameters = parse_yaml((base / PARAMETERS).read_text(encoding="utf-8"), file=PARAMETERS) or {}
        meanings = {path: code_digest(path, (base / path).read_bytes()) for path in dict.fromkeys(code) if path in contents}
        dvc_yaml = (base / DVC_YAML).read_text(encoding="utf-8")
        summary = (snapshot.commit and snapshot.json(str(RUN_SUMMARY))) or {}
        yield Evidence(found, stages, contents, meanings, parameters, dvc_yaml, summary)


def fetch_missing(snapshot: Snapshot, paths: Sequence[str]) -> None:
    """Fetch the outputs of a commit that the cache lacks; `DataError` names one that the remote lacks, too."""
    if snapshot.commit is None or snapshot.folder is not None:
        return
    missing = _missing(snapshot, [path for path in paths if path in snapshot.md5s])
    if not missing:
        return
    why = "the remote lacks it"
    try:
        with temporary_worktree(snapshot.root, snapshot.commit) as tree:
            fetch_to_cache(tree, missing)
    except WorkspaceError as error:
        why = error.problem
    if still := _missing(snapshot, missing):
        problem = f"is not in the cache, and cannot be fetched: {why}"
        raise DataError(problem, file=still[0], field=f"in {snapshot.name}", hint="ascl remote check")


def _stages(found: Found) -> tuple[Stage, ...]:
    lock = found.snapshot.root / DVC_LOCK
    before = lock.read_bytes() if lock.exists() else b""
    entries = found.snapshot.stages
    if found.snapshot.commit is None and (lock.read_bytes() if lock.exists() else b"") != before:
        raise DataError("was truncated, and the last whole version was restored", file=DVC_LOCK, hint="check it, and ask again")
    names = {node.stage.name for node in found.graph.upstream(found.node)} | (set(entries) if found.path == CHECKPOINT else set())
    read = {path for name in names if name in found.graph.nodes for path in found.graph.nodes[name].inputs}
    return tuple(s for s in STAGES if s.name in names or read.intersection(a.path for a in (*s.outputs.values(), s.record)))


def _missing(snapshot: Snapshot, paths: Sequence[str]) -> list[str]:
    return [path for path in paths if not (files := snapshot.files(path)) or None in files.values()]


def _unpacked(root: Path, folder: Path, commit: str, sources: Sequence[str]) -> Path:
    for path in dict.fromkeys([PACKAGE, PARAMETERS, DVC_YAML, *sources]):
        if not (Path(path).is_absolute() or path.startswith("..")) and git(root, "ls-tree", commit, "--", path):
            export(root, commit, Path(path), folder)
    return folder
