"""The deployment `retrain`: rules to a gated checkpoint, in a worktree of its own, ending as a commit on `runs/<id>`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from prefect import flow, get_client
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Completed, State
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ascl_core.errors import RuleError
from ascl_core.report.rules_diff import markdown as diff_page
from flows.beginning import begin
from flows.forms import RetrainForm
from flows.post_train import PostTrainResult, train_and_gate
from tasks.deployment import events, own_run, pages, seen
from tasks.execution.plan import make_plan
from tasks.registry import stages
from tasks.registry.parameters import planned_values
from tasks.runs.runs import Run
from tasks.runs.summary import run_summary

_THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=len(stages.STAGES)))


@flow(name="retrain", task_runner=_THREADS, persist_result=False, validate_parameters=True)
def retrain(form: RetrainForm = RetrainForm()) -> State[Any]:  # noqa: B008
    """Retrain the model on rules, evaluate it beside its baselines, and hold it at the gate; promote releases what passes."""
    return own_run.ended(_retrain, *begin(form))


def _retrain(form: RetrainForm, root: Path) -> State[Any]:
    with own_run.fetched(root, form.rules.place) as (rules, corpus):
        if newer := seen.newer_than(form.rules.watched, corpus.digest):
            return Cancelled(message=f"superseded: newer rules {newer[:12]} were seen at {form.rules.watched}")
        if form.rules.digest not in ("", corpus.digest):
            raise RuleError(
                "the rules there are others", field="rules.digest", value=corpus.digest, hint="leave it empty, or give their digest"
            )
        diff = own_run.changes(root, corpus, since=own_run.fork(root, form.rules.place))
        create_markdown_artifact(
            diff_page(diff, "Rules: released to these"), key="rules-diff", description="What the change of the rules means"
        )
        own_run.require_versions(diff)
        with own_run.own_run(root, "retrain", ref=form.code, rules=rules) as run:
            return _train(root, run, form)


def _train(root: Path, run: Run, form: RetrainForm) -> State[Any]:
    training = form.training
    values = planned_values(run.place, training.profile or None, training.settings)
    plan = make_plan(run.place, frozenset(form.force), values)
    create_markdown_artifact(pages.plan_page(plan), key="plan", description="What this run does, and why")
    result = train_and_gate(
        *(run.place, training.profile or None, training.settings, form.force), form.limits.stages_at_a_time or None, form.limits.policy
    )
    summary = run_summary(run.place, result.outcomes)
    commit = own_run.finish(root, run, summary)
    page = pages.report(root, run, result.outcomes, commit, summary["checkpoint"]["sha256"])
    create_markdown_artifact(page, key="report", description="The gate and the figures")
    create_markdown_artifact(pages.lineage(run, commit), key="lineage", description="What the checkpoint was made from")
    return _gated(run, result)


def _gated(run: Run, result: PostTrainResult) -> State[Any]:
    decision = result.decision
    if decision.passed:
        return Completed(name="Gate: passed", message=f"{run.id}: {decision.summary}")
    with get_client(sync_client=True) as client:
        events.gate_failed(client, {"run": run.id, "summary": decision.summary, "failing": list(decision.failing)})
    return Completed(name="Gate: not passed", message=f"{run.id}: {decision.summary}")
