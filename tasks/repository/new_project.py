"""A new project: a clone of this repository whose rules and prompts are a small start of one's own, for `ascl init`.

The code comes with its history, so that a later version of it is a merge away (`git pull upstream main`). What belongs to this
repository's own rules stays behind: rules, prompts, keys, records, its DVC remote, branches and tags.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ascl_core.artifacts import write_text
from ascl_core.errors import WorkspaceError
from ascl_core.rules.lock import write_lock
from ascl_core.urls import without_credentials
from tasks.registry import dvcfile
from tasks.registry.paths import DATA, DVC_CONFIG, DVC_LOCK, PARAMETERS, TRUSTED_KEYS
from tasks.registry.stages import RAW, RULES
from tasks.repository.git import commit_of, git
from tasks.repository.params_file import write_params
from tasks.repository.worktrees import NOBODY

STARTER = Path(__file__).with_name("starter")
PROFILE = "tiny"
_LEFT_BEHIND = (RULES.path, RAW.path, str(TRUSTED_KEYS.parent), DVC_LOCK, PARAMETERS)
DVC_SETTINGS = """[core]
    analytics = false
    autostage = false
    check_update = false
    remote = local
['remote "local"']
    url = ../.ascl/remote
"""


def make_project(source: Path, folder: Path) -> str:
    """Make the project in `folder`, which must not exist or be empty, and return the commit of `source` that its code is of.

    It is complete or not there at all. `WorkspaceError` if `source` is no git repository.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkspaceError("is there already, and nothing is overwritten", file=folder, hint="name a new folder, or an empty one")
    if not (source / ".git").exists() or (commit := commit_of(source, "HEAD")) is None:
        hint = "git clone the repository, and run its ascl init"
        raise WorkspaceError("the code of this installation is no git repository, so it cannot be cloned", file=source, hint=hint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ascl-init-", dir=folder.parent) as work:
        made = Path(work) / folder.name
        _clone(source, made)
        _replace_data(made)
        _commit(made, commit)
        if folder.exists():
            for path in made.iterdir():
                shutil.move(path, folder)
        else:
            made.rename(folder)
    return commit


def _clone(source: Path, made: Path) -> None:
    """Make a repository whose one branch, `main`, is at the source's commit; no tag and no other branch comes along."""
    git(source, "init", "--quiet", "--initial-branch=main", str(made))
    git(made, "fetch", "--quiet", "--no-tags", "--update-shallow", str(source), "HEAD")
    git(made, "reset", "--quiet", "--hard", "FETCH_HEAD")
    origin = git(source, "config", "--default", "", "--get", "remote.origin.url")
    git(made, "remote", "add", "upstream", without_credentials(origin) or str(source))


def _replace_data(made: Path) -> None:
    for name in _LEFT_BEHIND:
        path = made / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in ("rules", "raw"):
        shutil.copytree(STARTER / name, made / DATA / name)
    write_lock(made / RULES.path)
    write_text(made / DVC_CONFIG, DVC_SETTINGS)
    write_params(made, PROFILE)
    dvcfile.follow_sources(made)


def _commit(made: Path, commit: str) -> None:
    git(made, "add", "--all")
    message = f"Start with rules of our own\n\nThe code is ascl's, commit {commit}."
    git(made, "commit", "--quiet", "--no-verify", "--message", message, environment=NOBODY)
