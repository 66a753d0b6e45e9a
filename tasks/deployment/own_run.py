"""The run of a deployment's flow run: its id, its worktree, its rules and its result."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

from prefect import get_run_logger
from prefect.context import FlowRunContext
from prefect.states import Crashed, State

from ascl_core.config.params import load_params
from ascl_core.errors import RuleError, StageCrashed, WorkspaceError
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.diff import RuleDiff, diff_corpora
from tasks.execution.supervisor import follow_parent
from tasks.registry.paths import PARAMETERS
from tasks.registry.stages import RULES
from tasks.repository.git import git, has_remote, resolve
from tasks.repository.released import released_commit
from tasks.runs import runs
from tasks.runs.rule_sources import compiled, fetch_rules, read_rules
from tasks.runs.runs import Run

P = ParamSpec("P")


def flow_run() -> Any:
    """Return the flow run of this code, as it was on the server when it started."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise WorkspaceError("not inside a flow run", hint="start the deployment")
    return context.flow_run


def own_id(kind: str) -> str:
    """Return the id of this flow run's run: the day and the start of the flow run's id, so that a retry uses the same worktree."""
    run = flow_run()
    return f"{run.created:%Y%m%d}-{kind}-{str(run.id)[:8]}"


@contextmanager
def own_run(root: Path, kind: str, *, ref: str = "HEAD", rules: Path | None = None) -> Iterator[Run]:
    """Yield the run of this flow run, with its worktree for this process only; the process ends when its worker does."""
    follow_parent(signal.SIGTERM)
    run_id = own_id(kind)
    with runs.only_process(root, run_id):
        yield runs.open_run(root, run_id, ref=ref, rules=rules)


def crash_state(work: Callable[P, State[Any]], *arguments: P.args, **named: P.kwargs) -> State[Any]:
    """Return the final state of the work: Crashed instead of Failed if a process was killed from outside, as a retry may succeed."""
    try:
        return work(*arguments, **named)
    except StageCrashed as error:
        return Crashed(message=str(error))


def finish_run(root: Path, run: Run, summary: dict[str, Any], *, push: bool) -> str:
    """Commit the end of the run, publish it if `push` says so, and collect old worktrees; return the commit."""
    commit = runs.finish_run(root, run, {"flow_run": str(flow_run().id), **summary})
    if push:
        runs.publish_run(root, run)
        get_run_logger().info("pushed the data to the DVC remote, and the branch %s to origin", run.branch)
    else:
        get_run_logger().info("pushed nothing: the run is the branch %s of the worker's repository", run.branch)
    runs.collect(root)
    return commit


@contextmanager
def fetched_rules(root: Path, source: str) -> Iterator[tuple[Path, Corpus]]:
    """Yield the rule files of a source, in a temporary folder, and their corpus; `RuleError` if they do not compile."""
    _fetch_remote(root, source)
    with tempfile.TemporaryDirectory() as folder:
        files = fetch_rules(root, source, Path(folder))
        yield files, compiled(files, load_params(root / PARAMETERS).rules, source)


def _fetch_remote(root: Path, source: str) -> None:
    """Fetch from the git remote that a source names, if any, such as `origin` in `origin/main`."""
    remote = source.partition("/")[0]
    if "://" not in source and "/" in source and has_remote(root, remote):
        git(root, "fetch", "--quiet", "--tags", remote)


def rule_changes(root: Path, new: Corpus, since: str | None = None) -> RuleDiff:
    """Return the changes from the released rules to these; before the first release, from those of the revision `since`.

    Earlier rules in a store cannot be read once they are replaced; then these are compared with the rules of the repository.
    """
    config = load_params(root / PARAMETERS).rules
    old = read_rules(root, released_commit(root) or (since if since and "://" not in since else "HEAD"), config)
    return diff_corpora(old, new, config.at)


def merge_base(root: Path, source: str) -> str:
    """Return the merge base of HEAD and the revision that `source` names; HEAD if it names none, or has no history in common."""
    commit = None if "://" in source else resolve(root, source)
    try:
        return git(root, "merge-base", "HEAD", commit) if commit else "HEAD"
    except WorkspaceError:  # no history in common
        return "HEAD"


def require_versions(diff: RuleDiff) -> None:
    """Raise `RuleError` that names the first rule whose version does not match its change."""
    if diff.problems:
        rule = diff.problems[0]
        raise RuleError(f"{rule.rule_id}: {rule.problem}", file=RULES.path, field=rule.rule_id, value=rule.versions, hint=rule.hint)
