"""Collecting the evidence about an artifact that a person names.

Outputs are read where they are: on disk, or for a run or a release in the cache, into which the remote's copy is brought where one is
missing. What people wrote, the code and the parameters are read on disk, or from the commit. A release has the content of a release in
`data/released`, where its stages read that of the one before, so for it the commit of its run counts.
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
from tasks.evidence.collected import Evidence, is_people_s
from tasks.evidence.contents import OnBytes, read_contents
from tasks.evidence.graph import Found
from tasks.evidence.snapshot import Place, files_on_disk
from tasks.lineage.find import commit_in, find
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
    """The evidence about what a person names; every file is read. What had to be unpacked for it is removed after."""
    named = commit_in(root, text)
    if named is not None:
        _bring(named, [stage.record.path for stage in STAGES if stage.record.path in named.md5s])
    found = find(root, text)
    place, before = found.place, _lock_bytes(root)
    entries = place.stages
    if place.commit is None and _lock_bytes(root) != before:
        raise DataError("was not whole; the last whole one is back in its place", file=LOCK, hint="look at it, and ask again")
    stages = _stages(found, entries)
    outputs = [artifact.path for stage in stages for artifact in (*stage.outputs.values(), stage.record)]
    if place.commit is not None:
        _bring(place, [path for path in outputs if path in place.md5s])
    (root / _FOLDER).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / _FOLDER, prefix="verify-") as folder:
        is_release = place.commit is not None and _is_release(place)
        nodes = [found.graph.nodes[stage.name] for stage in stages if stage.name in found.graph.nodes]
        written = [path for node in nodes for path in node.inputs if is_people_s(path)]
        base = root if place.commit is None else _unpacked(place, Path(folder), _made_at(place, is_release), written)
        code = [path for stage in stages for path in place.code_of(stage.name)]
        located = {
            path: files_on_disk(base / path)
            for path in dict.fromkeys([*written, *code])
            if is_within(base / path, base) or not place.commit
        }
        located |= {path: {name: file for name, file in place.files(path).items() if file} for path in outputs}
        contents = read_contents({path: files for path, files in located.items() if files}, on_bytes)
        parameters = parse_yaml((base / PARAMETERS).read_text(encoding="utf-8"), file=PARAMETERS) or {}
        meanings = {path: code_digest(path, (base / path).read_bytes()) for path in dict.fromkeys(code) if path in contents}
        yield Evidence(found, stages, contents, meanings, parameters, (base / DVC_YAML).read_text(encoding="utf-8"), is_release)


def _stages(found: Found, entries: dict[str, Any]) -> tuple[Stage, ...]:
    names = {node.stage.name for node in found.graph.behind(found.node)} | (set(entries) if found.path == CHECKPOINT else set())
    read = {path for name in names if name in found.graph.nodes for path in found.graph.nodes[name].inputs}
    return tuple(s for s in STAGES if s.name in names or read.intersection(a.path for a in (*s.outputs.values(), s.record)))


def _bring(place: Place, paths: list[str]) -> None:
    """Have the cache hold these outputs of a commit."""
    lacking = _lacking(place, paths)
    if not lacking or place.commit is None:
        return
    why = "the remote lacks it"
    try:
        with temporary_worktree(place.root, place.commit) as tree:
            fetch_to_cache(tree, lacking)
    except WorkspaceError as error:
        why = error.problem
    if still := _lacking(place, lacking):
        problem = f"is not in the cache, and cannot be fetched: {why}"
        raise DataError(problem, file=still[0], field=f"in {place.name}", hint="ascl remote check")


def _lacking(place: Place, paths: list[str]) -> list[str]:
    return [path for path in paths if not (files := place.files(path)) or None in files.values()]


def _is_release(place: Place) -> bool:
    tagged = git(place.root, "for-each-ref", "--points-at", str(place.commit), history.TAGS)
    return bool(tagged) or place.commit in (released_commit(place.root), *history.commits(place.root))


def _made_at(place: Place, is_release: bool) -> str:
    """The commit whose files the stages read."""
    commit = str(place.commit)
    if not is_release:
        return commit
    try:
        return str(json.loads(show(place.root, commit, Path(RELEASED.path) / RECORD))["commit"])
    except (ValueError, KeyError, TypeError):
        raise DataError("is no record of a release", file=f"{RELEASED.path}/{RECORD}", field=place.name, hint="fetch it again") from None


def _unpacked(place: Place, folder: Path, commit: str, written: list[str]) -> Path:
    for path in dict.fromkeys([PACKAGE, PARAMETERS, DVC_YAML, *written]):
        if not (Path(path).is_absolute() or path.startswith("..")) and git(place.root, "ls-tree", commit, "--", path):
            export(place.root, commit, Path(path), folder)
    return folder


def _lock_bytes(root: Path) -> bytes:
    return (root / LOCK).read_bytes() if (root / LOCK).exists() else b""
