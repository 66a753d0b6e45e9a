"""Workspaces: git worktrees of their own over the repository's DVC cache.

A run with other parameters, or a second run at the same time, works in one: it never touches the working tree that people
edit, and what it has in common with another run it takes from the cache. A workspace holds the working tree as it is, with
changes that are in no commit; it keeps its outputs and its `dvc.lock` between runs, and may be removed at any time.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from ascl_core.artifacts import digest, read_yaml, write_text
from ascl_core.config.params import Params
from ascl_core.config.profiles import to_yaml
from tasks.registry.parameters import FILE as PARAMETERS
from tasks.registry.stages import Artifact, Stage
from tasks.repository import dvc_config, released
from tasks.repository.git import git
from tasks.repository.locking import alone

FOLDER = Path(".ascl") / "workspaces"
LOCK = "dvc.lock"
NOBODY = {f"GIT_{who}_{what}": "ascl" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def snapshot(root: Path) -> str:
    """The id of a git tree with every file of the working tree that git does not ignore, `dvc.lock` apart; changes nothing."""
    with tempfile.TemporaryDirectory(dir=root / ".ascl") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", "HEAD", environment=index)
        git(root, "add", "--all", "--", ".", environment=index)
        git(root, "rm", "--quiet", "--cached", "--ignore-unmatch", "--", LOCK, environment=index)
        return git(root, "write-tree", environment=index)


def open_workspace(root: Path, name: str, tree: str, params: Params) -> Path:
    """The workspace of that name, with the files of `tree` and these parameters; what it has run before stays known."""
    place = (root / FOLDER / name).resolve()
    commit = git(root, "commit-tree", tree, "-p", "HEAD", "-m", f"workspace {name}", environment=NOBODY)
    if not (place / ".git").exists():
        add_worktree(root, place, commit)
    elif git(place, "rev-parse", "HEAD^{tree}") != tree:
        git(place, "checkout", "--quiet", "--force", "--detach", commit)
    released.bring_up_to_date(place)
    write_text(place / PARAMETERS, to_yaml(params, f"The parameters of the workspace {name}."))
    return place


def add_worktree(root: Path, place: Path, commit: str) -> None:
    """Have `place` be a worktree with the files of that commit and nothing else, over the cache and the remotes of `root`."""
    with _list_of_worktrees(root):
        shutil.rmtree(place, ignore_errors=True)
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--force", "--force", "--detach", str(place), commit)
    dvc_config.share(root, place)


def remove_worktree(root: Path, place: Path) -> None:
    """Remove a worktree, and have git forget it; nothing where there is none."""
    with _list_of_worktrees(root):
        shutil.rmtree(place, ignore_errors=True)
        git(root, "worktree", "prune")


@contextmanager
def _list_of_worktrees(root: Path) -> Iterator[None]:
    """One change of git's list of worktrees at a time."""
    with alone(root / ".ascl" / "locks" / "worktrees.lock"):
        yield


def fetch_inputs(worktree: Path, made_in: Mapping[Artifact, Path]) -> None:
    """Copy each artifact from the root in which it was made, unless that is the worktree itself."""
    for artifact, source in made_in.items():
        if source != worktree:
            _copy(source / artifact.path, worktree / artifact.path)


def adopt(source: Path, place: Path, stage: Stage) -> None:
    """Take over what `source` has recorded of the stage, where `place` has nothing: what holds here, too, is then restored, not made."""
    known, own = _entries(source), _entries(place)
    if stage.name in known and stage.name not in own:
        from ruamel.yaml import YAML

        text = StringIO()
        YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": {**own, stage.name: known[stage.name]}}, text)
        write_text(place / LOCK, text.getvalue())


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


def _entries(place: Path) -> Mapping[str, object]:
    return (read_yaml(place / LOCK) or {}).get("stages") or {} if (place / LOCK).exists() else {}
