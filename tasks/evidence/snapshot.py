"""One state of all artifacts: what the working tree has, or what the commit of a run or of a release names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.registry.code import PACKAGE
from tasks.repository import cache, dvc_lock, outputs
from tasks.repository.git import export, git, show
from tasks.repository.worktrees import LOCK

WORKING_TREE = "working tree"
_FETCHED = Path(".ascl") / "lineage" / "fetched"


@dataclass(frozen=True)
class Place:
    """A state in which every artifact has one content."""

    root: Path
    name: str
    """What a person calls it: `working tree`, the id of a run, the tag of a release, or a commit."""
    commit: str | None
    """None for the working tree."""

    @cached_property
    def stages(self) -> dict[str, Any]:
        """What `dvc.lock` says of each stage there."""
        if self.commit is None:
            return dvc_lock.recorded(self.root)
        text = show(self.root, self.commit, Path(LOCK), missing=b"").decode()
        return dvc_lock.stages_in(text, file=LOCK)

    @cached_property
    def md5s(self) -> dict[str, str]:
        """What `dvc.lock` there calls the MD5 of each output, by path."""
        return {out["path"]: str(out.get("md5")) for entry in self.stages.values() for out in entry.get("outs", ())}

    def code_of(self, stage: str) -> dict[str, str]:
        """MD5 of each file of code that the stage depends on, by path, as `dvc.lock` there has it."""
        listed = self.stages.get(stage, {}).get("deps", ())
        return {dep["path"]: str(dep.get("md5")) for dep in listed if dep["path"].startswith(f"{PACKAGE}/")}

    def read(self, path: str) -> bytes | None:
        """The bytes of a file there; None where it is not at hand."""
        found = self.files(path)
        file = found.get("") if found else None
        return file.read_bytes() if file else None

    def files(self, path: str, *, fetch: bool = False) -> dict[str, Path | None]:
        """Where the bytes of an artifact's files are, by their path in it (a file's own is `""`); None for one that is not at hand.

        Empty where nothing is known of the artifact. With `fetch`, what is not at hand is brought from the remote.
        """
        if self.commit is None:
            return {**files_on_disk(self.root / path)}
        if path not in self.md5s:
            return self._versioned_by_git(path)
        found = cache.cached_files(self.root, self.md5s[path])
        if (found and None not in found.values()) or not fetch:
            return found
        into = self.root / _FETCHED / self.commit
        return {**files_on_disk(outputs.fetch_recorded(self.root, self.commit, path, into))}

    def _versioned_by_git(self, path: str) -> dict[str, Path | None]:
        assert self.commit is not None
        if not git(self.root, "ls-tree", self.commit, "--", path):
            return {}
        into = self.root / _FETCHED / self.commit
        return {**files_on_disk(export(self.root, self.commit, Path(path), into))}


def working_tree(root: Path) -> Place:
    """What is on disk now."""
    return Place(root, WORKING_TREE, None)


def files_on_disk(path: Path) -> dict[str, Path]:
    """The files of an artifact by their path in it (a file's own is `""`); empty where there is nothing."""
    if path.is_file():
        return {"": path}
    return {str(file.relative_to(path)): file for file in sorted(path.rglob("*")) if file.is_file()}
