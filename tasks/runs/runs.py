"""Runs: each works in its own git worktree over the shared DVC cache and ends as a commit on `runs/<id>`.

    .ascl/runs/<id>/                 the worktree: the code of a commit, the rules to train on, the current release, params.yaml
    .ascl/runs/<id>/.ascl/run.json   from which commit it was opened; written last, so that an incomplete worktree is made again
    runs/<id>                        the branch with its result: dvc.lock, params.yaml, rules, `data/run.json` and `data/lineage.jsonl`

A run never changes the working tree of people, simultaneous runs share only the cache, and a run that was killed continues in its worktree.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, write_json
from ascl_core.errors import WorkspaceError, nearest
from tasks.evidence.log import append_missing
from tasks.registry.paths import COMMITTED_LOG, DATA, DVC_LOCK, LOCAL, LOG, OPENED_RUN, RUN_SUMMARY, RUNS
from tasks.registry.stages import RELEASED, REPORT, RULES
from tasks.repository import dvc_lock, outputs, released, transfer
from tasks.repository.git import commit_of, git, has_remote, head_of, resolve, show
from tasks.repository.locking import exclusive, lock_file
from tasks.repository.retrying import spaced_attempts
from tasks.repository.worktrees import NOBODY, add_worktree, remove_worktree

BRANCHES = "runs"
KEPT = 5
"""The number of worktrees of ended runs that are kept for inspection; commits are always kept."""
ABANDONED_S = 7 * 24 * 3600.0
"""The age at which a worktree is collected whose run never ended."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")


@dataclass(frozen=True)
class Run:
    """One run and the worktree in which it works."""

    id: str
    worktree: Path
    base: str
    """The commit that it started from."""

    @property
    def branch(self) -> str:
        """The branch on which its result is committed."""
        return f"{BRANCHES}/{self.id}"


def open_run(root: Path, run_id: str, *, ref: str = "HEAD", rules: Path | None = None) -> Run:
    """Open the run of that id: its worktree as an earlier attempt left it, or a new one at the commit `ref`.

    A new one has the rules of the folder `rules`, if given, the current release, and DVC's record of each stage: that of the released run,
    else of the commit, else of `root`, so that unchanged outputs are restored. `WorkspaceError` if the id or the ref is invalid.
    """
    worktree = (root / RUNS / checked_id(run_id)).resolve()
    if (worktree / OPENED_RUN).exists():
        return Run(run_id, worktree, str(read_json(worktree / OPENED_RUN)["base"]))
    base = resolve(root, ref)
    if base is None:
        raise WorkspaceError("no such git revision", field="ref", value=ref, hint="git log --oneline, and give a commit, a branch or a tag")
    add_worktree(root, worktree, base)
    released.bring_up_to_date(worktree)
    if rules is not None:
        shutil.rmtree(worktree / RULES.path)
        shutil.copytree(rules, worktree / RULES.path)
    _merge_records(root, worktree, released.released_commit(root))
    _mark_opened(worktree, run_id, base, ref)
    return Run(run_id, worktree, base)


def _mark_opened(worktree: Path, run_id: str, base: str, ref: str) -> None:
    write_json(worktree / OPENED_RUN, {"schema": "ascl.opened-run/1", "id": run_id, "base": base, "ref": ref})


def finish_run(root: Path, run: Run, summary: Mapping[str, Any]) -> str:
    """Commit the run's worktree on its branch, with `summary` as `data/run.json` and its log as `data/lineage.jsonl`; return the commit."""
    append_missing(run.worktree)
    (run.worktree / COMMITTED_LOG).unlink(missing_ok=True)
    if (run.worktree / LOG).exists():
        shutil.copyfile(run.worktree / LOG, run.worktree / COMMITTED_LOG)
    write_json(run.worktree / RUN_SUMMARY, {"schema": "ascl.run/1", "id": run.id, "base": run.base, **summary})
    git(run.worktree, "add", "--all", "--", ".")
    git(run.worktree, "add", "--force", "--all", "--", RELEASED.path)
    tree = git(run.worktree, "write-tree")
    commit = git(run.worktree, "commit-tree", tree, "-p", run.base, "-m", f"run {run.id}", environment=NOBODY)
    git(root, "update-ref", f"refs/heads/{run.branch}", commit)
    git(run.worktree, "update-ref", "--no-deref", "HEAD", commit)
    return commit


def read_run(root: Path, run_id: str) -> dict[str, Any]:
    """Return the summary in the run's commit; `WorkspaceError` if no run of that id has ended."""
    commit = head_of(root, f"{BRANCHES}/{checked_id(run_id)}")
    if commit is None:
        known = ended_runs(root)
        latest = f"one of {', '.join(known[:5])}"
        hint = nearest(run_id, known, latest, command="ascl runs list") if known else "no run has ended yet: ascl run"
        raise WorkspaceError("no run of that id has ended", value=run_id, hint=hint)
    return {**json.loads(show(root, commit, RUN_SUMMARY)), "commit": commit}


def ended_runs(root: Path) -> list[str]:
    """Return the ids of all runs that have ended, here or at `origin`, newest first."""
    return list(ended_commits(root))


def ended_commits(root: Path) -> dict[str, str]:
    """Return the commit of each run that has ended, here or at `origin`, by id, newest first, with one call of git for all."""
    prefixes = [f"{heads}/{BRANCHES}/" for heads in ("refs/heads", "refs/remotes/origin")]
    listed = git(root, "for-each-ref", "--sort=-committerdate", "--format=%(objectname) %(refname)", *prefixes)
    heads: dict[str, set[str]] = {}
    for commit, name in (line.split(" ", 1) for line in listed.splitlines()):
        heads.setdefault(name.partition(f"/{BRANCHES}/")[2], set()).add(commit)
    return {run_id: str(head_of(root, f"{BRANCHES}/{run_id}")) if len(found) > 1 else next(iter(found)) for run_id, found in heads.items()}


def publish_run(root: Path, run: Run) -> str:
    """Push the data of the ended run to the remote, then its branch to `origin`, if there is one; return its commit.

    May be repeated. `WorkspaceError` if the run has not ended or a push fails; a branch is never pushed without its data.
    """
    commit = commit_of(root, f"refs/heads/{run.branch}")
    if commit is None:
        raise WorkspaceError("the run has not ended", field="run", value=run.id, hint="wait for its end")
    transfer.push(run.worktree)
    if has_remote(root):
        _push_branch(root, run.branch)
    return commit


def open_report(root: Path, run_id: str) -> Path:
    """Return the folder of the ended run's report, restored in its worktree, which is made again if it was collected."""
    commit, worktree = read_run(root, run_id)["commit"], (root / RUNS / run_id).resolve()
    if not (worktree / OPENED_RUN).exists():
        add_worktree(root, worktree, commit)
        _mark_opened(worktree, run_id, git(root, "rev-parse", f"{commit}^"), commit)
    report = REPORT.outputs["page"].path
    if not (worktree / report).exists():
        outputs.fetch(worktree, [report])
    if not (worktree / report).exists():
        raise WorkspaceError("the run has no report", field="run", value=run_id, hint="ascl runs list")
    return worktree / report


@contextmanager
def only_process(root: Path, run_id: str) -> Iterator[None]:
    """Be the only process that works in the run's worktree; `WorkspaceError` if another one does."""
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(run_lock(root, run_id), wait=False))
        except BlockingIOError:
            raise WorkspaceError("another process works on this run", field="run", value=run_id, hint="wait for its end") from None
        yield


def collect(root: Path, *, keep: int = KEPT, abandoned_s: float = ABANDONED_S) -> list[str]:
    """Remove the worktrees of abandoned runs and of ended ones except the newest `keep`; return their ids. Commits and cache stay."""
    ended, worktrees = set(ended_runs(root)), run_worktrees(root)
    over = [worktree for worktree in worktrees if worktree.name in ended][keep:]
    old = [one for one in worktrees if one.name not in ended and time.time() - last_modified(one) > abandoned_s]
    return [worktree.name for worktree in (*over, *old) if _remove(root, worktree)]


def run_worktrees(root: Path) -> list[Path]:
    """Return the worktrees of all runs, the last modified one first."""
    return sorted((root / RUNS).glob("*/"), key=last_modified, reverse=True)


def checked_id(run_id: str) -> str:
    """Return the id; `WorkspaceError` unless it is lower-case letters, digits and dashes, as it names a folder and a branch."""
    if not _ID.fullmatch(run_id):
        raise WorkspaceError("not a run's id", field="run", value=run_id, hint="3 to 63 lower-case letters, digits and dashes")
    return run_id


def last_modified(worktree: Path) -> float:
    """Return when a worktree, its `dvc.lock` or one of its main folders last changed."""
    paths = (worktree, worktree / DATA, worktree / DVC_LOCK, worktree / LOCAL)
    return max(path.stat().st_mtime for path in paths if path.exists())


def run_lock(root: Path, run_id: str) -> Path:
    """Return the file that the process of a run holds locked."""
    return lock_file(root, f"run-{checked_id(run_id)}")


def _remove(root: Path, worktree: Path) -> bool:
    try:
        with only_process(root, worktree.name):
            remove_worktree(root, worktree)
    except WorkspaceError:
        return False
    return True


def _push_branch(root: Path, branch: str) -> None:
    """Push the branch, with retries: another run may push at the same moment, or the network may be down."""
    for attempts_left in spaced_attempts():
        try:
            git(root, "push", "--quiet", "origin", f"+refs/heads/{branch}:refs/heads/{branch}")
            return
        except WorkspaceError as error:
            if not attempts_left:
                hint = f"git remote -v; then: git push origin {branch}. Its data is in the remote already"
                raise WorkspaceError(f"the branch {branch} could not be pushed: {error.problem}", field="origin", hint=hint) from error


def _merge_records(root: Path, worktree: Path, released_commit: str | None) -> None:
    """Write the worktree's `dvc.lock`: the released run's entry of each stage, else the commit's, else that of `root`."""
    known = dvc_lock.recorded(root) | dvc_lock.recorded(worktree)
    if released_commit:
        known |= dvc_lock.stages_in(show(root, released_commit, Path(DVC_LOCK), missing=b"").decode())
    if known:
        dvc_lock.write_stages(worktree, known)
