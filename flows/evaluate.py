"""The deployment `evaluate`: recorded checkpoints, one or many, on any rules and suites."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture
from prefect.states import Completed, State
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ascl_core.artifacts import read_json
from ascl_core.text import counted
from flows.forms import EvaluateForm, start
from tasks.deployment import own_run, pages
from tasks.deployment.evaluating import Evaluations, summary
from tasks.host import interpreter

_THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=8))


@flow(name="evaluate", flow_run_name=partial(own_run.own_id, "evaluate"), task_runner=_THREADS, persist_result=False)
def evaluate(form: EvaluateForm = EvaluateForm()) -> State[Any]:  # noqa: B008
    """Evaluate each checkpoint as a task of its own, and write one table of figures and one commit on runs/ID."""
    return own_run.crash_state(_evaluate, *start(form))


def _evaluate(form: EvaluateForm, root: Path) -> State[Any]:
    interpreter.require()
    with own_run.own_run(root, "evaluate") as run:
        with Evaluations(root, run, form.rules, form.suites, form.at_a_time, form.limits.policy) as evaluations:
            for name in dict.fromkeys(form.checkpoints):
                evaluations.submit(name)
            done = evaluations.results()
        own_run.finish_run(root, run, summary(run, done), push=form.push)
        table = pages.figures({one.name: read_json(one.metrics)["headline"] for one in done})
    create_markdown_artifact(table, key="evaluations", description="The figures of each checkpoint, with intervals")
    return Completed(message=f"{run.id}: {counted(len(done), 'checkpoint')} evaluated")
