"""The main flow: from the rules to a gated checkpoint and its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tasks.execution.policy import RetryPolicy
from tasks.execution.prefect_stage import StageRunner, warn
from tasks.execution.up_to_date import Outcome
from tasks.host import preflight
from tasks.registry import dvcfile, stages
from tasks.repository import released, transfer
from tasks.repository.params_file import write_params
from tasks.runs import tracking
from tasks.runs.summary import Decision, markdown, read_decision

THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=512))


@dataclass(frozen=True)
class PostTrainResult:
    """What every stage did, what the gate decided, and how many files were pushed to the DVC remote."""

    outcomes: list[Outcome]
    decision: Decision
    pushed: int


@flow(name="post_train", task_runner=THREADS, persist_result=False)
def post_train(force: Sequence[str] = (), max_parallel: int | None = None, push: bool = True) -> PostTrainResult:
    """Retrain the model on the current rules, evaluate it beside its baselines, gate it, and report.

    What is up to date is reused. Raises the error of the first stage that fails; finished stages are kept.
    """
    return train_and_gate(Path.cwd(), None, (), force, max_parallel, push=push)


def train_and_gate(
    root: Path,
    profile: str | None,
    settings: Sequence[str],
    force: Sequence[str],
    max_parallel: int | None,
    policy: RetryPolicy | None = None,
    *,
    push: bool = True,
) -> PostTrainResult:
    """Run the whole pipeline in the working tree `root`, inside a flow, and push what it made to the DVC remote."""
    params = write_params(root, profile, settings)
    preflight.require(root, params)
    released.bring_up_to_date(root)
    dvcfile.follow_sources(root)
    dvcfile.check(root)
    forced = [stages.get_stage(name).name for name in force]
    at_a_time = max_parallel or preflight.stages_at_a_time(params)
    with (
        tracking.tracked(root, str(flow_run.id), warn) as done,
        StageRunner(root=root, force=forced, max_parallel=at_a_time, policy=policy, done=done) as run,
    ):
        for stage in stages.STAGES:
            run(stage)
        outcomes = run.outcomes()
    decision = read_decision(root)
    create_markdown_artifact(markdown(outcomes, decision), key="post-train", description="What every stage did, and the gate's decision")
    pushed = transfer.push(root) if push and transfer.is_push_pending(root) else 0
    return PostTrainResult(outcomes, decision, pushed)
