"""Git worktrees over the repository's DVC cache: the one kind of folder in which anything but the working tree of people is run or read.

.ascl/workspaces/<name>   an arm of a comparison: the working tree with its uncommitted changes, and other parameters; kept between runs
.ascl/runs/<id>           a run (`tasks.runs.runs`)
.ascl/releases/<commit>   the files of a commit, for as long as they are read
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ascl_core.artifacts import digest, read_json, write_text
from ascl_core.config.params import Params
from ascl_core.config.profiles import to_yaml
from ascl_core.data.locations import DEFAULT_EXTERNAL_DATA
from tasks.registry.paths import COMMITS, DVC_LOCK, OPENED_RUN, PARAMETERS, WORKSPACES
from tasks.registry.stages import Artifact, Stage
from tasks.repository import dvc_config, dvc_lock, released
from tasks.repository.git import git, temporary_index
from tasks.repository.locking import exclusive, lock_file

NOBODY = {f"GIT_{who}_{what}": "ascl" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
"""The author of commits that no person makes."""


def snapshot(root: Path) -> str:
    """Return the id of a git tree with every file of the working tree that git does not ignore, except `dvc.lock`; changes nothing."""
    with temporary_index(root) as index:
        git(root, "read-tree", "HEAD", environment=index)
        git(root, "add", "--all", "--", ".", environment=index)
        git(root, "rm", "--quiet", "--cached", "--ignore-unmatch", "--", DVC_LOCK, environment=index)
        return git(root, "write-tree", environment=index)


def open_worktree(root: Path, name: str, tree: str, params: Params) -> Path:
    """Return the worktree of that name, with the files of `tree` and these parameters; its outputs and its `dvc.lock` are kept."""
    worktree = (root / WORKSPACES / name).resolve()
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
    """Yield a worktree with the files of a commit, and remove it afterwards; one that a killed process left is replaced.

    What is restored there is copied, even if DVC is set to link to its cache: it is judged and published as files.
    """
    worktree = (root / COMMITS / commit).resolve()
    with exclusive(lock_file(root, f"release-{commit}")):
        try:
            add_worktree(root, worktree, commit, link_type=dvc_config.COPIES)
            yield worktree
        finally:
            remove_worktree(root, worktree)


def add_worktree(root: Path, worktree: Path, commit: str, *, link_type: str | None = None) -> None:
    """Make a worktree with just the files of that commit, over the cache and the remotes of `root`; replaces what is there.

    It shares the public files of `root` by a link, unless git does not ignore their folder at that commit.
    """
    with exclusive(lock_file(root, "worktrees")):
        shutil.rmtree(worktree, ignore_errors=True)
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--force", "--force", "--detach", str(worktree), commit)
    dvc_config.share(root, worktree, link_type=link_type)
    external, ignored = worktree / DEFAULT_EXTERNAL_DATA, worktree / ".gitignore"
    if not external.exists() and ignored.exists() and f"/{DEFAULT_EXTERNAL_DATA}" in ignored.read_text(encoding="utf-8").splitlines():
        external.parent.mkdir(parents=True, exist_ok=True)
        external.symlink_to((root / DEFAULT_EXTERNAL_DATA).resolve())


def remove_worktree(root: Path, worktree: Path) -> None:
    """Remove a worktree, if it exists, from the disk and from git's list."""
    with exclusive(lock_file(root, "worktrees")):
        shutil.rmtree(worktree, ignore_errors=True)
        git(root, "worktree", "prune")


def opened_run(root: Path) -> str | None:
    """Return the id of the run whose worktree this is; None in the working tree of people and in other worktrees."""
    return str(read_json(root / OPENED_RUN)["id"]) if (root / OPENED_RUN).exists() else None


def fetch_inputs(worktree: Path, made_in: Mapping[Artifact, Path]) -> None:
    """Copy each artifact from the root in which it was made, unless that is the worktree itself."""
    for artifact, source in made_in.items():
        if source != worktree:
            _copy(source / artifact.path, worktree / artifact.path)


def copy_entry(source: Path, worktree: Path, stage: Stage) -> None:
    """Copy the stage's entry in the `dvc.lock` of `source`, unless the worktree has one, so that unchanged outputs are restored."""
    known, own = dvc_lock.recorded(source), dvc_lock.read_stages(worktree)
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
