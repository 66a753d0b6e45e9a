"""Collect the evidence about an artifact that a person names.

Outputs are read on disk, or for a run or a release from the cache, into which what is missing is fetched. Sources, code and parameters are
read on disk, or from the commit: for a release from the commit of its run, as `data/released` held the release before when its stages ran.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ascl_core.artifacts import is_within, parse_yaml
from ascl_core.errors import DataError, WorkspaceError
from tasks.evidence.collected import Evidence, is_source
from tasks.evidence.contents import OnBytes, read_contents
from tasks.evidence.graph import Found
from tasks.evidence.snapshot import Snapshot, files_on_disk
from tasks.lineage.find import find, snapshot_named
from tasks.registry.code import PACKAGE
from tasks.registry.dvcfile import FILE as DVC_YAML
from tasks.registry.parameters import FILE as PARAMETERS
from tasks.registry.stages import CHECKPOINT, RELEASED, STAGES, Stage
from tasks.registry.syntax import code_digest
from tasks.releases import history
from tasks.releases.content import RECORD
from tasks.repository.dvc_lock import LOCK
from tasks.repository.git import export, git, show
from tasks.repository.outputs import fetch_to_cache
from tasks.repository.released import released_commit
from tasks.repository.worktrees import temporary_worktree

_FOLDER = Path(".ascl") / "lineage"


@contextmanager
def collected(root: Path, text: str, on_bytes: OnBytes) -> Iterator[Evidence]:
    """Yield the evidence about the artifact that a person names, for which every file is read; unpacked files are removed afterwards."""
    named = snapshot_named(root, text)
    if named is not None:
        _fetch(named, [stage.record.path for stage in STAGES if stage.record.path in named.md5s])
    found = find(root, text)
    snapshot, before = found.snapshot, _lock_bytes(root)
    entries = snapshot.stages
    if snapshot.commit is None and _lock_bytes(root) != before:
        raise DataError("was truncated, and the last whole version was restored", file=LOCK, hint="check it, and ask again")
    stages = _stages(found, entries)
    outputs = [artifact.path for stage in stages for artifact in (*stage.outputs.values(), stage.record)]
    if snapshot.commit is not None:
        _fetch(snapshot, [path for path in outputs if path in snapshot.md5s])
    (root / _FOLDER).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / _FOLDER, prefix="verify-") as folder:
        is_release = snapshot.commit is not None and _is_release(snapshot)
        nodes = [found.graph.nodes[stage.name] for stage in stages if stage.name in found.graph.nodes]
        sources = [path for node in nodes for path in node.inputs if is_source(path)]
        base = root if snapshot.commit is None else _unpacked(snapshot, Path(folder), _run_commit(snapshot, is_release), sources)
        code = [path for stage in stages for path in snapshot.code_of(stage.name)]
        inside = (path for path in dict.fromkeys([*sources, *code]) if is_within(base / path, base) or not snapshot.commit)
        located = {path: files_on_disk(base / path) for path in inside}
        located |= {path: {name: file for name, file in snapshot.files(path).items() if file} for path in outputs}
        contents = read_contents({path: files for path, files in located.items() if files}, on_bytes)
        parameters = parse_yaml((base / PARAMETERS).read_text(encoding="utf-8"), file=PARAMETERS) or {}
        meanings = {path: code_digest(path, (base / path).read_bytes()) for path in dict.fromkeys(code) if path in contents}
        yield Evidence(found, stages, contents, meanings, parameters, (base / DVC_YAML).read_text(encoding="utf-8"), is_release)


def _stages(found: Found, entries: dict[str, Any]) -> tuple[Stage, ...]:
    names = {node.stage.name for node in found.graph.upstream(found.node)} | (set(entries) if found.path == CHECKPOINT else set())
    read = {path for name in names if name in found.graph.nodes for path in found.graph.nodes[name].inputs}
    return tuple(s for s in STAGES if s.name in names or read.intersection(a.path for a in (*s.outputs.values(), s.record)))


def _fetch(snapshot: Snapshot, paths: list[str]) -> None:
    """Fetch the outputs of a commit that the cache lacks."""
    missing = _missing(snapshot, paths)
    if not missing or snapshot.commit is None:
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


def _missing(snapshot: Snapshot, paths: list[str]) -> list[str]:
    return [path for path in paths if not (files := snapshot.files(path)) or None in files.values()]


def _is_release(snapshot: Snapshot) -> bool:
    tagged = git(snapshot.root, "for-each-ref", "--points-at", str(snapshot.commit), history.TAGS)
    return bool(tagged) or snapshot.commit in (released_commit(snapshot.root), *history.commits(snapshot.root))


def _run_commit(snapshot: Snapshot, is_release: bool) -> str:
    """Return the commit whose files the stages read."""
    commit, file = str(snapshot.commit), Path(RELEASED.path) / RECORD
    if not is_release:
        return commit
    try:
        return str(json.loads(show(snapshot.root, commit, file))["commit"])
    except (ValueError, KeyError, TypeError):
        raise DataError("is not the record of a release", file=file, field=snapshot.name, hint="fetch it again") from None


def _unpacked(snapshot: Snapshot, folder: Path, commit: str, sources: list[str]) -> Path:
    for path in dict.fromkeys([PACKAGE, PARAMETERS, DVC_YAML, *sources]):
        if not (Path(path).is_absolute() or path.startswith("..")) and git(snapshot.root, "ls-tree", commit, "--", path):
            export(snapshot.root, commit, Path(path), folder)
    return folder


def _lock_bytes(root: Path) -> bytes:
    return (root / LOCK).read_bytes() if (root / LOCK).exists() else b""
