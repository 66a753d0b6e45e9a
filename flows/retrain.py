"""The deployment `retrain`: rules to a gated checkpoint, in a worktree of its own, ending as a commit on `runs/<id>`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, get_client
from prefect.artifacts import create_markdown_artifact
from prefect.states import Cancelled, Completed, Failed, State

from ascl_core.errors import RuleError
from ascl_core.report.rules_diff import markdown as diff_page
from flows.forms import RetrainForm, start
from flows.post_train import THREADS, PostTrainResult, train_and_gate
from tasks.deployment import events, last_seen, own_run, pages
from tasks.execution.plan import make_plan
from tasks.registry.parameters import planned_values
from tasks.repository.released import released_tag
from tasks.runs.runs import Run
from tasks.runs.summary import run_summary


@flow(name="retrain", flow_run_name=partial(own_run.own_id, "retrain"), task_runner=THREADS, persist_result=False)
def retrain(form: RetrainForm = RetrainForm()) -> State[Any]:  # noqa: B008
    """Retrain the model on rules, evaluate it beside its baselines, and hold it at the gate; promote releases what passes."""
    return own_run.crash_state(_retrain, *start(form))


def _retrain(form: RetrainForm, root: Path) -> State[Any]:
    source, expected, watched = form.rules.source, form.rules.digest, form.rules.watched
    with own_run.fetched_rules(root, source) as (rules, corpus):
        if newer := last_seen.newer_than(watched, corpus.digest):
            return Cancelled(message=f"superseded: the watcher has seen newer rules {newer[:12]} at {watched}")
        if expected not in ("", corpus.digest):
            hint = "leave the expected digest empty, or correct it"
            raise RuleError("the rules have another digest", file=source, field="rules.digest", value=expected, hint=hint)
        since = own_run.merge_base(root, source)
        diff = own_run.rule_changes(root, corpus, since=since)
        title = f"Rules: from {released_tag(root) or f'{since[:12]}, as nothing is released,'} to {source}"
        create_markdown_artifact(diff_page(diff, title), key="rules-diff", description="What the rule change means")
        own_run.require_versions(diff)
        with own_run.own_run(root, "retrain", rules=rules) as run:
            return _train(root, run, form)


def _train(root: Path, run: Run, form: RetrainForm) -> State[Any]:
    training, limits = form.training, form.limits
    plan = make_plan(run.worktree, frozenset(form.force), planned_values(run.worktree, training.chosen, training.settings))
    create_markdown_artifact(pages.plan_page(plan), key="plan", description="What this run does, and why")
    result = train_and_gate(
        *(run.worktree, training.chosen, training.settings, form.force, limits.stages_at_a_time or None),
        policy=limits.policy,
        push=form.push,
    )
    summary = run_summary(run.worktree, result.outcomes)
    commit = own_run.finish_run(root, run, summary, push=form.push)
    page = pages.report(root, run, result.outcomes, commit, summary["checkpoint"]["sha256"], pushed=form.push)
    create_markdown_artifact(page, key="report", description="The gate and the figures")
    create_markdown_artifact(pages.lineage(run, commit), key="lineage", description="What the checkpoint was made from")
    return _gated(run, result)


def _gated(run: Run, result: PostTrainResult) -> State[Any]:
    decision = result.decision
    if decision.passed:
        return Completed(name="Gate: passed", message=f"{run.id}: {decision.summary}")
    with get_client(sync_client=True) as client:
        events.gate_failed(client, {"run": run.id, "summary": decision.summary, "failing": list(decision.failing)})
    return Failed(name="Gate: not passed", message=f"{run.id}: {decision.summary}")
