"""Runs of their own: each works in a git worktree over the shared DVC cache and ends as a commit on `runs/<id>`.

    .ascl/runs/<id>/            the worktree: the code of a commit, the rules asked for, what is released, params.yaml
    .ascl/runs/<id>/.ascl/run.json   what it was opened with; written last, so that a half-made worktree is made anew
    runs/<id>                   the branch with its end: dvc.lock, params.yaml, rules and `data/run.json`

Nobody's working tree is touched, two runs at a time share nothing but the cache, and a run that was killed goes on in its worktree.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ascl_core.artifacts import parse_yaml, read_json, write_json, write_text
from ascl_core.errors import WorkspaceError
from tasks.git import commit_of, git, show
from tasks.stages import RELEASED, RULES
from tasks.workspaces import LOCK, NOBODY, point_at_cache

FOLDER = Path(".ascl") / "runs"
BRANCHES = "runs"
RELEASES = "releases"
"""The branch whose head is what is released; every release and every rollback is one commit of it."""
SUMMARY = Path("data") / "run.json"
"""What a run was and gave, in its commit."""
KEPT = 5
"""Worktrees of ended runs that are kept for a look; their commits stay anyway."""
ABANDONED_S = 7 * 24 * 3600.0
"""When a worktree whose run never ended, and in which nobody works, is collected."""
_OPENED = Path(".ascl") / "run.json"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")


@dataclass(frozen=True)
class Run:
    """One run and the worktree in which it works."""

    id: str
    place: Path
    base: str
    """The commit that it started from."""

    @property
    def branch(self) -> str:
        """Where its end is committed."""
        return f"{BRANCHES}/{self.id}"


def open_run(root: Path, run_id: str, *, ref: str = "HEAD", rules: Path | None = None) -> Run:
    """The run of that id: its worktree as an earlier attempt left it, or a new one at the commit `ref`.

    A new one has the rules of the folder `rules` where one is given, what is released now, and what DVC has recorded: of the
    released run, else of the commit, else of `root`; so whatever did not change is restored and not made again.
    `WorkspaceError` where the id or the ref is none.
    """
    place = (root / FOLDER / checked_id(run_id)).resolve()
    if (place / _OPENED).exists():
        return Run(run_id, place, str(read_json(place / _OPENED)["base"]))
    base = commit_of(root, ref)
    if base is None:
        raise WorkspaceError("no such git revision", field="ref", value=ref, mend="git log --oneline, and give a commit, a branch or a tag")
    with _worktrees(root):
        shutil.rmtree(place, ignore_errors=True)
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--force", "--force", "--detach", str(place), base)
    point_at_cache(root, place)
    released = commit_of(root, f"refs/heads/{RELEASES}")
    if released:
        git(place, "checkout", "--quiet", released, "--", RELEASED.path)
    if rules is not None:
        shutil.rmtree(place / RULES.path)
        shutil.copytree(rules, place / RULES.path)
    _know_what_was_recorded(root, place, released)
    write_json(place / _OPENED, {"schema": "ascl.opened-run/1", "id": run_id, "base": base, "ref": ref})
    return Run(run_id, place, base)


def finish_run(root: Path, run: Run, summary: Mapping[str, Any]) -> str:
    """Commit what the run left, with `summary` as `data/run.json`, on its branch; returns the commit. Nothing else moves."""
    write_json(run.place / SUMMARY, {"schema": "ascl.run/1", "id": run.id, "base": run.base, **summary})
    git(run.place, "add", "--all", "--", ".")
    tree = git(run.place, "write-tree")
    commit = git(run.place, "commit-tree", tree, "-p", run.base, "-m", f"run {run.id}", environment=NOBODY)
    git(root, "update-ref", f"refs/heads/{run.branch}", commit)
    git(run.place, "update-ref", "--no-deref", "HEAD", commit)
    return commit


def read_run(root: Path, run_id: str) -> dict[str, Any]:
    """The summary in the run's commit; `WorkspaceError` where no run of that id has ended."""
    branch = f"refs/heads/{BRANCHES}/{checked_id(run_id)}"
    commit = commit_of(root, branch)
    if commit is None:
        known = ", ".join(ended_runs(root)[:5]) or "none has ended yet"
        raise WorkspaceError("no run of that id has ended", field="run", value=run_id, mend=f"one of: {known}")
    return {**json.loads(show(root, commit, SUMMARY)), "commit": commit}


def ended_runs(root: Path) -> list[str]:
    """The ids of all runs that have ended, newest first."""
    listed = git(root, "for-each-ref", "--sort=-committerdate", "--format=%(refname)", f"refs/heads/{BRANCHES}/")
    return [name.removeprefix(f"refs/heads/{BRANCHES}/") for name in listed.splitlines()]


@contextmanager
def only_process(root: Path, run_id: str) -> Iterator[None]:
    """Be the only process that works in the run's worktree; `WorkspaceError` where another one does."""
    with open(_lock(root, run_id), "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceError("another process works on this run", field="run", value=run_id, mend="wait for its end") from None
        yield


def collect(root: Path, *, keep: int = KEPT, abandoned_s: float = ABANDONED_S) -> list[str]:
    """Remove the worktrees of ended runs but the newest `keep`, and of abandoned ones; returns their ids. Commits and cache stay."""
    places = sorted((root / FOLDER).glob("*/"), key=lambda place: place.stat().st_mtime, reverse=True)
    ended = set(ended_runs(root))
    over = [place for place in places if place.name in ended][keep:]
    old = [place for place in places if place.name not in ended and time.time() - place.stat().st_mtime > abandoned_s]
    return [place.name for place in (*over, *old) if _remove(root, place)]


def checked_id(run_id: str) -> str:
    """The id; `WorkspaceError` unless it is lower-case letters, digits and dashes, as it names a folder and a branch."""
    if not _ID.fullmatch(run_id):
        raise WorkspaceError("not a run's id", field="run", value=run_id, mend="3 to 63 lower-case letters, digits and dashes")
    return run_id


def _remove(root: Path, place: Path) -> bool:
    try:
        with only_process(root, place.name), _worktrees(root):
            shutil.rmtree(place, ignore_errors=True)
            git(root, "worktree", "prune")
    except WorkspaceError:
        return False
    return True


def _lock(root: Path, name: str) -> Path:
    folder = root / ".ascl" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"run-{checked_id(name)}.lock"


@contextmanager
def _worktrees(root: Path) -> Iterator[None]:
    """One change of git's list of worktrees at a time."""
    with open(_lock(root, "worktrees"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _know_what_was_recorded(root: Path, place: Path, released: str | None) -> None:
    """Merge what is recorded of each stage: the released run's entry counts first, then the commit's, then that of `root`."""
    known: dict[str, Any] = {}
    texts = [path.read_text(encoding="utf-8") for path in (root / LOCK, place / LOCK) if path.exists()]
    if released:
        texts.append(show(root, released, Path(LOCK), missing=b"").decode())
    for text in texts:
        known |= (parse_yaml(text, file=LOCK) or {}).get("stages") or {}
    if known:
        from ruamel.yaml import YAML

        merged = StringIO()
        YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": known}, merged)
        write_text(place / LOCK, merged.getvalue())
