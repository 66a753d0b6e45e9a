"""Commit the finished run of a working tree on `runs/<id>`, so that it can be approved and released like any other run.

HEAD, the index and the files do not change: the commit is written through a temporary index.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ascl_core.artifacts import sha256_json, to_json
from ascl_core.errors import WorkspaceError
from ascl_core.text import some
from tasks.evidence.log import append_missing
from tasks.evidence.record import load_record
from tasks.execution.up_to_date import Outcome
from tasks.registry.paths import COMMITTED_LOG, DATA, DVC_LOCK, DVC_YAML, LOG, PARAMETERS, PROFILES, REQUIREMENTS, RUN_SUMMARY
from tasks.registry.stages import RELEASED, STAGES, Stage
from tasks.repository import cache
from tasks.repository.changes import changes_from_head
from tasks.repository.git import commit_of, git, temporary_index
from tasks.repository.released import released_folder
from tasks.repository.staleness import staleness
from tasks.repository.worktrees import NOBODY
from tasks.runs import runs
from tasks.runs.summary import run_summary

_READ = ("ascl_core", str(DATA), "flows", PROFILES, REQUIREMENTS, "tasks", DVC_YAML, PARAMETERS)
"""What a run reads from a working tree, besides files that git ignores."""
_NEW = "0" * 40


def run_id(root: Path) -> str:
    """Return the id of the working tree's run, which follows from HEAD and `dvc.lock`; `WorkspaceError` if nothing ran."""
    if not (root / DVC_LOCK).is_file():
        raise WorkspaceError("nothing has run here", file=DVC_LOCK, hint="ascl run")
    base = git(root, "rev-parse", "HEAD")
    return f"local-{sha256_json([base, (root / DVC_LOCK).read_text(encoding='utf-8')])[:12]}"


def keep_run(root: Path, *, is_finished: bool = False) -> str:
    """Commit the working tree's finished run on its branch `runs/<id>`, unless that exists, and return the id.

    `WorkspaceError` if code, rules or parameters are not committed, or if a stage is not up to date. With `is_finished`, the caller has
    just called `require_finished`, which takes seconds.
    """
    require_committed(root)
    found = run_id(root)
    branch = f"refs/heads/{runs.BRANCHES}/{found}"
    if commit_of(root, branch) is None:
        if not is_finished:
            require_finished(root)
        git(root, "update-ref", branch, _commit(root, found), _NEW)
    return found


def require_committed(root: Path, but: Iterable[str] = ()) -> None:
    """Raise `WorkspaceError` if files that a run reads are not committed, except for the paths in `but`."""
    excluded = {DVC_LOCK, str(RUN_SUMMARY), str(COMMITTED_LOG), *but}
    changed = [
        path
        for path in changes_from_head(root)
        if any(Path(path).is_relative_to(one) for one in _READ) and path not in excluded and not Path(path).is_relative_to(RELEASED.path)
    ]
    if changed:
        problem = f"not committed: {some(changed)}; a release must name a commit"
        raise WorkspaceError(
            problem, file=root, hint="git add and git commit them, or git stash them; then ascl run, if they change the result"
        )


def require_finished(root: Path) -> None:
    """Raise `WorkspaceError` that names the first stage that is not up to date with the current files and release."""
    with released_folder(root) as released:
        stale = staleness(root, list(STAGES), inputs={RELEASED.path: cache.md5(released)})
    for name, why in stale.items():
        if why:
            problem = f"the run is not finished: {name} is not up to date ({why.reasons[0]})"
            raise WorkspaceError(problem, file=root, hint="ascl run, then again")


def _commit(root: Path, found: str) -> str:
    append_missing(root)
    base = git(root, "rev-parse", "HEAD")
    summary = {"schema": "ascl.run/1", "id": found, "base": base, **run_summary(root, [_recorded(root, stage) for stage in STAGES])}
    with temporary_index(root) as index:
        git(root, "read-tree", base, environment=index)
        git(root, "add", "--force", "--all", "--", DVC_LOCK, RELEASED.path, environment=index)
        blobs = {str(RUN_SUMMARY): git(root, "hash-object", "-w", "--stdin", given=to_json(summary))}
        if (root / LOG).exists():
            blobs[str(COMMITTED_LOG)] = git(root, "hash-object", "-w", "--no-filters", "--", str(LOG))
        for path, blob in blobs.items():
            git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", environment=index)
        tree = git(root, "write-tree", environment=index)
    return git(root, "commit-tree", tree, "-p", base, "-m", f"run {found}", environment=NOBODY)


def _recorded(root: Path, stage: Stage) -> Outcome:
    record = load_record(root, stage)
    return Outcome(record.stage, "ran", (f"in the working tree, until {record.ended}",), record.seconds)
