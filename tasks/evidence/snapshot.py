"""A snapshot: one state of all artifacts, in the working tree or in the commit of a run or of a release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.registry.code import PACKAGE
from tasks.registry.paths import DVC_LOCK, FETCHED
from tasks.registry.stages import RELEASED
from tasks.repository import cache, dvc_lock, outputs, released
from tasks.repository.git import export, git, show

WORKING_TREE = "working tree"


@dataclass(frozen=True)
class Snapshot:
    """A state in which every artifact has one content."""

    root: Path
    name: str
    """For people: `working tree`, the id of a run, the tag of a release, or a commit."""
    commit: str | None
    """None for the working tree."""
    checkout: Path | None = None
    """A worktree with the files of the commit and its outputs, if there is one: then they are read there."""

    @property
    def folder(self) -> Path | None:
        """Where its files are on disk; None if they are in git and in the cache only."""
        return self.root if self.commit is None else self.checkout

    @cached_property
    def stages(self) -> dict[str, Any]:
        """The entries of `dvc.lock`, by stage."""
        if self.commit is None:
            return dvc_lock.recorded(self.root)
        return dvc_lock.stages_in(show(self.root, self.commit, Path(DVC_LOCK), missing=b"").decode(), file=DVC_LOCK)

    @cached_property
    def md5s(self) -> dict[str, str]:
        """The MD5 of each output in `dvc.lock`, by path."""
        return dvc_lock.md5s(self.stages)

    @cached_property
    def release_folder(self) -> str:
        """Where it holds a release: that of its own commit, or else the one that was current."""
        return str(released.release_folder(self.root, self.commit)) if self.commit else RELEASED.path

    def code_of(self, stage: str) -> dict[str, str]:
        """Return the MD5 in `dvc.lock` of each file of code that the stage depends on, by path."""
        dependencies = dvc_lock.md5s({stage: self.stages.get(stage, {})}, "deps")
        return {path: md5 for path, md5 in dependencies.items() if path.startswith(f"{PACKAGE}/")}

    def read(self, path: str) -> bytes | None:
        """Return the content of a file; None if it is not available on this machine."""
        file = self.files(path).get("")
        return file.read_bytes() if file else None

    def json(self, path: str) -> dict[str, Any] | None:
        """Return the JSON object in a file; None if it is not available on this machine, or holds anything else."""
        content = self.read(path)
        values = None if content is None else json.loads(content)
        return values if isinstance(values, dict) else None

    def files(self, path: str, *, fetch: bool = False) -> dict[str, Path | None]:
        """Return where the files of an artifact are, by their path in it (a file's own is `""`); None for one that is not available here.

        Empty if the artifact is unknown. With `fetch`, missing files are fetched from the remote.
        """
        if self.folder is not None:
            return {**files_on_disk(self.folder / path)}
        assert self.commit is not None
        into = self.root / FETCHED / self.commit
        if path not in self.md5s:
            in_git = git(self.root, "ls-tree", self.commit, "--", path)
            return {**files_on_disk(export(self.root, self.commit, Path(path), into))} if in_git else {}
        found = cache.cached_files(self.root, self.md5s[path])
        if (found and None not in found.values()) or not fetch:
            return found
        return {**files_on_disk(outputs.fetch_recorded(self.root, self.commit, path, into))}


def working_tree(root: Path) -> Snapshot:
    """Return the snapshot of what is on disk."""
    return Snapshot(root, WORKING_TREE, None)


def files_on_disk(path: Path) -> dict[str, Path]:
    """Return the files of an artifact by their path in it (a file's own is `""`); empty if there is nothing."""
    if path.is_file():
        return {"": path}
    return {str(file.relative_to(path)): file for file in sorted(path.rglob("*")) if file.is_file()}
