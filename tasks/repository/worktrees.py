"""Git worktrees over the repository's DVC cache: the one kind of folder in which anything but the working tree of people is run or read.

.ascl/workspaces/<name>   an arm of a comparison: the working tree with its uncommitted changes, and other parameters; kept between runs
.ascl/runs/<id>           a run (`tasks.runs.runs`)
.ascl/releases/<commit>   the files of a commit, for as long as they are read
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ascl_core.artifacts import digest, write_text
from ascl_core.config.params import Params
from ascl_core.config.profiles import to_yaml
from tasks.registry.parameters import FILE as PARAMETERS
from tasks.registry.stages import Artifact, Stage
from tasks.repository import dvc_config, dvc_lock, released
from tasks.repository.dvc_lock import LOCK
from tasks.repository.git import git
from tasks.repository.locking import exclusive, lock_file

NOBODY = {f"GIT_{who}_{what}": "ascl" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
"""The author of commits that no person makes."""


def snapshot(root: Path) -> str:
    """Return the id of a git tree with every file of the working tree that git does not ignore, except `dvc.lock`; changes nothing."""
    with tempfile.TemporaryDirectory(dir=root / ".ascl") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", "HEAD", environment=index)
        git(root, "add", "--all", "--", ".", environment=index)
        git(root, "rm", "--quiet", "--cached", "--ignore-unmatch", "--", LOCK, environment=index)
        return git(root, "write-tree", environment=index)


def open_worktree(root: Path, name: str, tree: str, params: Params) -> Path:
    """Return the worktree of that name, with the files of `tree` and these parameters; its outputs and its `dvc.lock` are kept."""
    worktree = (root / ".ascl" / "workspaces" / name).resolve()
    commit = git(root, "commit-tree", tree, "-p", "HEAD", "-m", f"workspace {name}", environment=NOBODY)
    if not (worktree / ".git").exists():
        add_worktree(root, worktree, commit)
    elif git(worktree, "rev-parse", "HEAD^{tree}") != tree:
        git(worktree, "checkout", "--quiet", "--force", "--detach", commit)
    released.bring_up_to_date(worktree)
    write_text(worktree / PARAMETERS, to_yaml(params, f"The parameters of the workspace {name}."))
    return worktree


@contextmanager
def temporary_worktree(root: Path, commit: str) -> Iterator[Path]:
    """Yield a worktree with the files of a commit, and remove it afterwards; one that a killed process left is replaced."""
    worktree = (root / ".ascl" / "releases" / commit).resolve()
    with exclusive(lock_file(root, f"release-{commit}")):
        try:
            add_worktree(root, worktree, commit)
            yield worktree
        finally:
            remove_worktree(root, worktree)


def add_worktree(root: Path, worktree: Path, commit: str) -> None:
    """Make a worktree with just the files of that commit, over the cache and the remotes of `root`; replaces what is there."""
    with exclusive(lock_file(root, "worktrees")):
        shutil.rmtree(worktree, ignore_errors=True)
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--force", "--force", "--detach", str(worktree), commit)
    dvc_config.share(root, worktree)


def remove_worktree(root: Path, worktree: Path) -> None:
    """Remove a worktree, if it exists, from the disk and from git's list."""
    with exclusive(lock_file(root, "worktrees")):
        shutil.rmtree(worktree, ignore_errors=True)
        git(root, "worktree", "prune")


def fetch_inputs(worktree: Path, made_in: Mapping[Artifact, Path]) -> None:
    """Copy each artifact from the root in which it was made, unless that is the worktree itself."""
    for artifact, source in made_in.items():
        if source != worktree:
            _copy(source / artifact.path, worktree / artifact.path)


def copy_entry(source: Path, worktree: Path, stage: Stage) -> None:
    """Copy the stage's entry in the `dvc.lock` of `source`, unless the worktree has one, so that unchanged outputs are restored."""
    known, own = dvc_lock.read_stages(source), dvc_lock.read_stages(worktree)
    if stage.name in known and stage.name not in own:
        dvc_lock.write_stages(worktree, {**own, stage.name: known[stage.name]})


def _copy(source: Path, target: Path) -> None:
    if target.exists() and digest(source) == digest(target):
        return
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
