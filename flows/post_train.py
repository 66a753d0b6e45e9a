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


@dataclass(frozen=True)
class PostTrainResult:
    """What every stage did, and what the gate decided."""

    outcomes: list[Outcome]
    decision: Decision


THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=len(stages.STAGES)))


@flow(name="post_train", task_runner=THREADS, persist_result=False, validate_parameters=True)
def post_train(
    profile: Annotated[str | None, Field(description="A file under profiles/; none keeps params.yaml as it is.")] = None,
    settings: Annotated[list[str], Field(description="Changed parameters, such as sft.max_steps=100.")] = [],  # noqa: B006
    force: Annotated[list[str], Field(description="Stages to run even where they are up to date.")] = [],  # noqa: B006
    max_parallel: Annotated[int | None, Field(ge=1, le=16, description="Stages at a time; none: as many as the cores carry.")] = None,
) -> PostTrainResult:
    """Retrain the model on the rules as they are, evaluate it beside its baselines, gate it, and report.

    What is up to date is reused. Raises the error of the first stage that fails; what was finished stays.
    """
    return train_and_gate(Path.cwd(), profile, settings, force, max_parallel)


def train_and_gate(
    root: Path,
    profile: str | None,
    settings: Sequence[str],
    force: Sequence[str],
    max_parallel: int | None,
    policy: Policy | None = None,
) -> PostTrainResult:
    """The whole pipeline in the working tree `root`, inside a flow: checks, stages, the push to the remote, the account."""
    params = write_params(root, profile, settings)
    preflight.require(root, params)
    released.bring_up_to_date(root)
    dvcfile.follow_sources(root)
    dvcfile.check(root)
    forced = [stages.get_stage(name).name for name in force]
    at_a_time = max_parallel or preflight.stages_at_a_time(params)
    with StageRunner(root=root, force=forced, max_parallel=at_a_time, policy=policy) as run:
        rules = run(stages.VALIDATE_RULES)
        index = run(stages.INDEX_RULES, rules)
        suites = run(stages.BUILD_SUITES, rules)
        prompts = run(stages.CURATE, rules, suites)
        validation = run(stages.VALIDATE_DATA, rules, prompts)
        trajectories = run(stages.BUILD_SFT, rules, prompts, validation)
        base = run(stages.BASE, trajectories)

        direct_refusal = run(stages.SFT_DIRECT_REFUSAL, trajectories, base)
        context_distillation = run(stages.SFT_CONTEXT_DISTILLATION, trajectories, base)
        sft = run(stages.SFT, trajectories, base)
        ifpo = run(stages.IFPO, sft, prompts, rules)

        base_metrics = run(stages.EVALUATE["base_model"], base, suites, rules, index)
        direct_refusal_metrics = run(stages.EVALUATE["sft_direct_refusal"], direct_refusal, suites, rules, index)
        context_distillation_metrics = run(stages.EVALUATE["sft_context_distillation"], context_distillation, suites, rules, index)
        sft_metrics = run(stages.EVALUATE["sft"], sft, suites, rules, index)
        ifpo_metrics = run(stages.EVALUATE["ifpo"], ifpo, suites, rules, index)

        gate = run(stages.GATE, ifpo_metrics)
        run(
            stages.REPORT,
            *(rules, index, suites, prompts, trajectories, validation),
            *(direct_refusal, context_distillation, sft, ifpo),
            *(base_metrics, direct_refusal_metrics, context_distillation_metrics, sft_metrics, ifpo_metrics, gate),
        )

        outcomes = run.outcomes()
    decision = read_decision(root)
    create_markdown_artifact(markdown(outcomes, decision), key="post-train", description="What every stage did, and the gate's decision")
    if transfer.owes_push(root):
        transfer.push(root)
    return PostTrainResult(outcomes, decision)
