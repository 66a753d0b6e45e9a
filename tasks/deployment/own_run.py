"""The run that a flow run of a deployment is: its id, its worktree, and its end."""

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
from tasks.deployment import parts
from tasks.execution.supervisor import follow_parent
from tasks.registry.stages import RULES
from tasks.repository.git import git, named
from tasks.repository.released import released_commit
from tasks.runs import runs
from tasks.runs.rule_sources import compiled, fetch_rules, read_rules
from tasks.runs.runs import Run

P = ParamSpec("P")


def flow_run() -> Any:
    """The flow run that this code is part of, as the server knew it when it started."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise WorkspaceError("not inside a flow run", hint="start the deployment")
    return context.flow_run


def own_id(kind: str) -> str:
    """The id of this flow run's run: the day and the beginning of its own id, so that a retry goes on in the same worktree."""
    run = flow_run()
    return f"{run.created:%Y%m%d}-{kind}-{str(run.id)[:8]}"


@contextmanager
def own_run(root: Path, kind: str, *, ref: str = "HEAD", rules: Path | None = None) -> Iterator[Run]:
    """The worktree of this flow run, in which no other process works; it ends with the worker, so that nobody is left behind."""
    follow_parent(signal.SIGTERM)
    run_id = own_id(kind)
    with runs.only_process(root, run_id):
        yield runs.open_run(root, run_id, ref=ref, rules=rules)


def ended(work: Callable[P, State[Any]], *arguments: P.args, **named: P.kwargs) -> State[Any]:
    """The state in which the work ends: Crashed, and not Failed, where a process was ended from outside: another try may do."""
    try:
        return work(*arguments, **named)
    except StageCrashed as error:
        return Crashed(message=str(error))


def finish(root: Path, run: Run, summary: dict[str, Any], *, push: bool) -> str:
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
def fetched(root: Path, place: str) -> Iterator[tuple[Path, Corpus]]:
    """The rule files at `place`, in a folder for the time of the block, and compiled; `RuleError` where they do not compile."""
    parts.refresh(root, place)
    with tempfile.TemporaryDirectory() as folder:
        files = fetch_rules(root, place, Path(folder))
        yield files, compiled(files, load_params(root / "params.yaml").rules, place)


def changes(root: Path, new: Corpus, since: str | None = None) -> RuleDiff:
    """What changed from the rules that are released, or where nothing is from those of the revision `since`, to these.

    Rules that were seen in a store are gone once they are replaced: then they are compared with those of the repository.
    """
    config = load_params(root / "params.yaml").rules
    old = read_rules(root, released_commit(root) or (since if since and "://" not in since else "HEAD"), config)
    return diff_corpora(old, new, config.at)


def fork(root: Path, place: str) -> str:
    """The commit since which the rules at `place` go a way of their own: seen from a commit that is older than HEAD, HEAD has gone on."""
    commit = None if "://" in place else named(root, place)
    try:
        return git(root, "merge-base", "HEAD", commit) if commit else "HEAD"
    except WorkspaceError:  # no history in common
        return "HEAD"


def require_versions(diff: RuleDiff) -> None:
    """`RuleError` that names the first rule whose version does not say what changed."""
    if diff.problems:
        rule = diff.problems[0]
        raise RuleError(f"{rule.rule_id}: {rule.problem}", file=RULES.path, field=rule.rule_id, value=rule.versions, hint=rule.hint)
