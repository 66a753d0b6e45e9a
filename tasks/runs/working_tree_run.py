"""Commit the finished run of a working tree on `runs/<id>`, so that it can be approved and released like any other run.

HEAD, the index and the files do not change: the commit is written through a temporary index.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from ascl_core.artifacts import sha256_json, to_json
from ascl_core.errors import WorkspaceError
from tasks.evidence.log import COMMITTED, LOG, append_missing
from tasks.evidence.record import load_record
from tasks.execution.up_to_date import Outcome
from tasks.registry.stages import RELEASED, STAGES, Stage
from tasks.repository import cache
from tasks.repository.dvc_lock import LOCK
from tasks.repository.git import commit_of, git
from tasks.repository.released import released_folder
from tasks.repository.staleness import staleness
from tasks.repository.worktrees import NOBODY
from tasks.runs import runs
from tasks.runs.summary import run_summary

_READ = ("ascl_core", "data", "flows", "profiles", "requirements", "tasks", "dvc.yaml", "params.yaml")
"""What a run reads from a working tree, besides files that git ignores."""
_SHOWN = 3
_NEW = "0" * 40


def run_id(root: Path) -> str:
    """Return the id of the working tree's run, which follows from HEAD and `dvc.lock`; `WorkspaceError` if nothing ran."""
    if not (root / LOCK).is_file():
        raise WorkspaceError("nothing has run here", file=LOCK, hint="ascl run")
    base = git(root, "rev-parse", "HEAD")
    return f"local-{sha256_json([base, (root / LOCK).read_text(encoding='utf-8')])[:12]}"


def keep_run(root: Path) -> str:
    """Commit the working tree's finished run on its branch `runs/<id>`, unless that exists, and return the id.

    `WorkspaceError` if code, rules or parameters are not committed, or if a stage is not up to date.
    """
    require_committed(root)
    found = run_id(root)
    branch = f"refs/heads/{runs.BRANCHES}/{found}"
    if commit_of(root, branch) is None:
        require_finished(root)
        git(root, "update-ref", branch, _commit(root, found), _NEW)
    return found


def require_committed(root: Path, but: Iterable[str] = ()) -> None:
    """Raise `WorkspaceError` if files that a run reads are not committed, except for the paths in `but`."""
    excluded = [f":(exclude){path}" for path in (LOCK, str(runs.SUMMARY), str(COMMITTED), RELEASED.path, *but)]
    listed = git(root, "--no-optional-locks", "status", "--porcelain", "--untracked-files=all", "-z", "--", *_READ, *excluded)
    changed = [entry[3:] if entry[2:3] == " " else entry[2:] for entry in listed.split("\0") if entry]
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        problem = f"not committed: {', '.join(changed[:_SHOWN])}{more}; a release must name a commit"
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
            raise WorkspaceError(problem, file=root, field=name, hint="ascl run, then again")


def _commit(root: Path, found: str) -> str:
    append_missing(root)
    base = git(root, "rev-parse", "HEAD")
    summary = {"schema": "ascl.run/1", "id": found, "base": base, **run_summary(root, [_recorded(root, stage) for stage in STAGES])}
    with tempfile.TemporaryDirectory(dir=root / ".ascl") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git(root, "read-tree", base, environment=index)
        git(root, "add", "--force", "--all", "--", LOCK, RELEASED.path, environment=index)
        blobs = {str(runs.SUMMARY): git(root, "hash-object", "-w", "--stdin", given=to_json(summary))}
        if (root / LOG).exists():
            blobs[str(COMMITTED)] = git(root, "hash-object", "-w", "--no-filters", "--", str(LOG))
        for path, blob in blobs.items():
            git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", environment=index)
        tree = git(root, "write-tree", environment=index)
    return git(root, "commit-tree", tree, "-p", base, "-m", f"run {found}", environment=NOBODY)


def _recorded(root: Path, stage: Stage) -> Outcome:
    record = load_record(root, stage)
    return Outcome(record.stage, "ran", (f"in the working tree, until {record.ended}",), record.seconds)
