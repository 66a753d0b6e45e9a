"""Runs of their own: each works in a git worktree over the shared DVC cache and ends as a commit on `runs/<id>`.

    .ascl/runs/<id>/            the worktree: the code of a commit, the rules asked for, what is released, params.yaml
    .ascl/runs/<id>/.ascl/run.json   what it was opened with; written last, so that a half-made worktree is made anew
    runs/<id>                   the branch with its end: dvc.lock, params.yaml, rules, `data/run.json` and `data/lineage.jsonl`

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
from tasks.evidence.log import COMMITTED, LOG, append_missing
from tasks.registry.stages import RELEASED, REPORT, RULES
from tasks.repository import dvc_lock, outputs, released, transfer
from tasks.repository.git import commit_of, git, head_of, named, show
from tasks.repository.worktrees import LOCK, NOBODY, add_worktree, remove_worktree

FOLDER = Path(".ascl") / "runs"
BRANCHES = "runs"
SUMMARY = Path("data") / "run.json"
"""What a run was and gave, in its commit."""
KEPT = 5
"""Worktrees of ended runs that are kept for a look; their commits stay anyway."""
ABANDONED_S = 7 * 24 * 3600.0
"""When a worktree whose run never ended, and in which nobody works, is collected."""
_OPENED = Path(".ascl") / "run.json"
_ATTEMPTS = 4
_WAIT_S = 1.0
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
    base = named(root, ref)
    if base is None:
        raise WorkspaceError("no such git revision", field="ref", value=ref, hint="git log --oneline, and give a commit, a branch or a tag")
    add_worktree(root, place, base)
    released.bring_up_to_date(place)
    if rules is not None:
        shutil.rmtree(place / RULES.path)
        shutil.copytree(rules, place / RULES.path)
    _know_what_was_recorded(root, place, released.released_commit(root))
    write_json(place / _OPENED, {"schema": "ascl.opened-run/1", "id": run_id, "base": base, "ref": ref})
    return Run(run_id, place, base)


def finish_run(root: Path, run: Run, summary: Mapping[str, Any]) -> str:
    """Commit what the run left on its branch, with `summary` as `data/run.json` and its log as `data/lineage.jsonl`; returns the commit.

    Nothing else moves.
    """
    append_missing(run.place)
    (run.place / COMMITTED).unlink(missing_ok=True)
    if (run.place / LOG).exists():
        shutil.copyfile(run.place / LOG, run.place / COMMITTED)
    write_json(run.place / SUMMARY, {"schema": "ascl.run/1", "id": run.id, "base": run.base, **summary})
    git(run.place, "add", "--all", "--", ".")
    git(run.place, "add", "--force", "--all", "--", RELEASED.path)
    tree = git(run.place, "write-tree")
    commit = git(run.place, "commit-tree", tree, "-p", run.base, "-m", f"run {run.id}", environment=NOBODY)
    git(root, "update-ref", f"refs/heads/{run.branch}", commit)
    git(run.place, "update-ref", "--no-deref", "HEAD", commit)
    return commit


def read_run(root: Path, run_id: str) -> dict[str, Any]:
    """The summary in the run's commit; `WorkspaceError` where no run of that id has ended."""
    commit = head_of(root, f"{BRANCHES}/{checked_id(run_id)}")
    if commit is None:
        known = ", ".join(ended_runs(root)[:5]) or "none has ended yet"
        raise WorkspaceError("no run of that id has ended", field="run", value=run_id, hint=f"one of: {known}")
    return {**json.loads(show(root, commit, SUMMARY)), "commit": commit}


def ended_runs(root: Path) -> list[str]:
    """The ids of all runs that have ended, here or as `origin` knows them, newest first."""
    return list(ended_commits(root))


def ended_commits(root: Path) -> dict[str, str]:
    """The commit of each run that has ended, here or as `origin` knows it, by id, newest first; asks git once however many there are."""
    places = [f"{where}/{BRANCHES}/" for where in ("refs/heads", "refs/remotes/origin")]
    listed = git(root, "for-each-ref", "--sort=-committerdate", "--format=%(objectname) %(refname)", *places)
    heads: dict[str, set[str]] = {}
    for commit, name in (line.split(" ", 1) for line in listed.splitlines()):
        heads.setdefault(name.partition(f"/{BRANCHES}/")[2], set()).add(commit)
    return {run_id: str(head_of(root, f"{BRANCHES}/{run_id}")) if len(found) > 1 else next(iter(found)) for run_id, found in heads.items()}


def publish_run(root: Path, run: Run) -> str:
    """Send the ended run to others: its data to the remote, and then its branch to `origin` where there is one; returns its commit.

    May be repeated. `WorkspaceError` where it has not ended, or a store does not take it; then nobody sees a branch without its data.
    """
    commit = commit_of(root, f"refs/heads/{run.branch}")
    if commit is None:
        raise WorkspaceError("the run has not ended", field="run", value=run.id, hint="let it end: its branch is made then")
    transfer.push(run.place)
    if "origin" in git(root, "remote").splitlines():
        _push_branch(root, run.branch)
    return commit


def open_report(root: Path, run_id: str) -> Path:
    """The folder of the ended run's report, brought back into its worktree, which is made anew where it was collected."""
    commit, place = read_run(root, run_id)["commit"], (root / FOLDER / run_id).resolve()
    if not (place / _OPENED).exists():
        add_worktree(root, place, commit)
        write_json(
            place / _OPENED, {"schema": "ascl.opened-run/1", "id": run_id, "base": git(root, "rev-parse", f"{commit}^"), "ref": commit}
        )
    report = REPORT.outputs["page"].path
    if not (place / report).exists():
        outputs.fetch(place, [report])
    if not (place / report).exists():
        raise WorkspaceError("the run has no report", field="run", value=run_id, hint="ascl runs list")
    return place / report


@contextmanager
def only_process(root: Path, run_id: str) -> Iterator[None]:
    """Be the only process that works in the run's worktree; `WorkspaceError` where another one does."""
    with open(lock_file(root, run_id), "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceError("another process works on this run", field="run", value=run_id, hint="wait for its end") from None
        yield


def collect(root: Path, *, keep: int = KEPT, abandoned_s: float = ABANDONED_S) -> list[str]:
    """Remove the worktrees of ended runs but the newest `keep`, and of abandoned ones; returns their ids. Commits and cache stay."""
    places = sorted((root / FOLDER).glob("*/"), key=last_touched, reverse=True)
    ended = set(ended_runs(root))
    over = [place for place in places if place.name in ended][keep:]
    old = [place for place in places if place.name not in ended and time.time() - last_touched(place) > abandoned_s]
    return [place.name for place in (*over, *old) if _remove(root, place)]


def checked_id(run_id: str) -> str:
    """The id; `WorkspaceError` unless it is lower-case letters, digits and dashes, as it names a folder and a branch."""
    if not _ID.fullmatch(run_id):
        raise WorkspaceError("not a run's id", field="run", value=run_id, hint="3 to 63 lower-case letters, digits and dashes")
    return run_id


def last_touched(place: Path) -> float:
    """When something was last recorded or written in a worktree, at the level of its folders."""
    return max(path.stat().st_mtime for path in (place, place / "data", place / LOCK, place / ".ascl") if path.exists())


def _remove(root: Path, place: Path) -> bool:
    try:
        with only_process(root, place.name):
            remove_worktree(root, place)
    except WorkspaceError:
        return False
    return True


def lock_file(root: Path, name: str) -> Path:
    """The file that the only process of a run holds locked."""
    folder = root / ".ascl" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"run-{checked_id(name)}.lock"


def _push_branch(root: Path, branch: str) -> None:
    """Push the branch, again where it fails: another run may push at the same moment, or the network be away."""
    for attempt in range(_ATTEMPTS):
        try:
            git(root, "push", "--quiet", "origin", f"+refs/heads/{branch}:refs/heads/{branch}")
            return
        except WorkspaceError as error:
            if attempt == _ATTEMPTS - 1:
                hint = f"git remote -v; then: git push origin {branch}. Its data is in the remote already"
                raise WorkspaceError(f"the branch {branch} could not be pushed: {error.problem}", field="origin", hint=hint) from error
            time.sleep(_WAIT_S * 2**attempt)


def _know_what_was_recorded(root: Path, place: Path, released_commit: str | None) -> None:
    """Merge what is recorded of each stage: the released run's entry counts first, then the commit's, then that of `root`."""
    known: dict[str, Any] = {}
    for folder in (root, place):
        known |= dvc_lock.recorded(folder)
    if released_commit:
        known |= (parse_yaml(show(root, released_commit, Path(LOCK), missing=b"").decode(), file=LOCK) or {}).get("stages") or {}
    if known:
        from ruamel.yaml import YAML

        merged = StringIO()
        YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": known}, merged)
        write_text(place / LOCK, merged.getvalue())
