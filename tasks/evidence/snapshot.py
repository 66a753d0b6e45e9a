"""A snapshot: one state of all artifacts, in the working tree or in the commit of a run or of a release."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.registry.code import PACKAGE
from tasks.repository import cache, dvc_lock, outputs
from tasks.repository.dvc_lock import LOCK
from tasks.repository.git import export, git, show

WORKING_TREE = "working tree"
_FETCHED = Path(".ascl") / "lineage" / "fetched"


@dataclass(frozen=True)
class Snapshot:
    """A state in which every artifact has one content."""

    root: Path
    name: str
    """For people: `working tree`, the id of a run, the tag of a release, or a commit."""
    commit: str | None
    """None for the working tree."""

    @cached_property
    def stages(self) -> dict[str, Any]:
        """The entries of `dvc.lock`, by stage."""
        if self.commit is None:
            return dvc_lock.recorded(self.root)
        return dvc_lock.stages_in(show(self.root, self.commit, Path(LOCK), missing=b"").decode(), file=LOCK)

    @cached_property
    def md5s(self) -> dict[str, str]:
        """The MD5 of each output in `dvc.lock`, by path."""
        return {out["path"]: str(out.get("md5")) for entry in self.stages.values() for out in entry.get("outs", ())}

    def code_of(self, stage: str) -> dict[str, str]:
        """Return the MD5 in `dvc.lock` of each file of code that the stage depends on, by path."""
        dependencies = self.stages.get(stage, {}).get("deps", ())
        return {dep["path"]: str(dep.get("md5")) for dep in dependencies if dep["path"].startswith(f"{PACKAGE}/")}

    def read(self, path: str) -> bytes | None:
        """Return the content of a file; None if it is not available on this machine."""
        file = self.files(path).get("")
        return file.read_bytes() if file else None

    def files(self, path: str, *, fetch: bool = False) -> dict[str, Path | None]:
        """Return where the files of an artifact are, by their path in it (a file's own is `""`); None for one that is not available here.

        Empty if the artifact is unknown. With `fetch`, missing files are fetched from the remote.
        """
        if self.commit is None:
            return {**files_on_disk(self.root / path)}
        into = self.root / _FETCHED / self.commit
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
