"""The deployment `compare`: the comparison of the arms, in a worktree of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.states import Completed, State
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.beginning import begin
from flows.compare import train_and_compare
from flows.forms import CompareForm
from tasks.deployment import own_run

_THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=512))


@flow(name="compare-arms", task_runner=_THREADS, persist_result=False, validate_parameters=True)
def compare_arms(form: CompareForm = CompareForm()) -> State[Any]:  # noqa: B008
    """Train every arm with every seed, evaluate all on the same suites, and write one page."""
    return own_run.ended(_compare, *begin(form))


def _compare(form: CompareForm, root: Path) -> State[Any]:
    training, limits = form.training, form.limits
    with own_run.own_run(root, "compare", ref=form.code) as run:
        result = train_and_compare(
            *(run.place, training.profile or None, training.settings, form.seeds, form.arms, form.changed_rules),
            *(limits.stages_at_a_time or None, limits.policy),
        )
        own_run.finish(root, run, {"page": str(result.page.relative_to(run.place)), "stages": len(result.outcomes)})
    return Completed(message=f"{run.id}: {result.page}")
