"""The main flow: from the rules to a gated checkpoint and its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import Field

from tasks.execution.materialise import Outcome
from tasks.execution.policy import Policy
from tasks.execution.prefect_stage import StageRunner
from tasks.host import preflight
from tasks.registry import dvcfile, stages
from tasks.registry.parameters import write_params
from tasks.repository import released, transfer
from tasks.runs.summary import Decision, markdown, read_decision

THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=512))


@dataclass(frozen=True)
class PostTrainResult:
    """What every stage did, and what the gate decided."""

    outcomes: list[Outcome]
    decision: Decision


@flow(name="post_train", task_runner=THREADS, persist_result=False, validate_parameters=True)
def post_train(
    profile: Annotated[str | None, Field(description="A file under profiles/; none keeps params.yaml as it is.")] = None,
    settings: Annotated[list[str], Field(description="Changed parameters, such as sft.max_steps=100.")] = [],  # noqa: B006
    force: Annotated[list[str], Field(description="Stages to run even if they are up to date.")] = [],  # noqa: B006
    max_parallel: Annotated[int | None, Field(ge=1, le=16, description="Stages at a time; none: as many as the cores allow.")] = None,
) -> PostTrainResult:
    """Retrain the model on the current rules, evaluate it beside its baselines, gate it, and report.

    What is up to date is reused. Raises the error of the first stage that fails; finished stages are kept.
    """
    return train_and_gate(Path.cwd(), profile, settings, force, max_parallel)


def train_and_gate(
    root: Path,
    profile: str | None,
    settings: Sequence[str],
    force: Sequence[str],
    max_parallel: int | None,
    policy: Policy | None = None,
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
    with StageRunner(root=root, force=forced, max_parallel=at_a_time, policy=policy) as run:
        for stage in stages.STAGES:
            run(stage)
        outcomes = run.outcomes()
    decision = read_decision(root)
    create_markdown_artifact(markdown(outcomes, decision), key="post-train", description="What every stage did, and the gate's decision")
    if push and transfer.owes_push(root):
        transfer.push(root)
    return PostTrainResult(outcomes, decision)
