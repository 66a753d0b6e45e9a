"""The comparison of ASCL + IFPO with its baselines: the same stages, with other seeds and other ways of rebalancing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from ascl_core.arms import Arm, get_arm
from ascl_core.config.params import Params
from flows.forms import CompareForm, start
from flows.post_train import THREADS
from tasks.deployment import own_run
from tasks.execution import comparison
from tasks.execution.comparison import ArmRun
from tasks.execution.policy import RetryPolicy
from tasks.execution.prefect_stage import StageRunner
from tasks.execution.up_to_date import Outcome
from tasks.host import preflight
from tasks.registry import dvcfile, stages
from tasks.registry.stages import Artifact, Stage
from tasks.repository.params_file import write_params
from tasks.repository.worktrees import copy_entry, fetch_inputs, snapshot


@dataclass(frozen=True)
class CompareResult:
    """What every stage did in its worktree, and the path of the page."""

    outcomes: list[Outcome]
    page: Path


@flow(name="compare", task_runner=THREADS, persist_result=False)
def compare(
    profile: str | None,
    settings: Sequence[str],
    seeds: Sequence[int],
    arms: Sequence[str],
    changed_rules: bool,
    max_parallel: int | None,
) -> CompareResult:
    """Train every arm with every seed, evaluate all on the same suites, and write one page.

    What arms and seeds have in common is made once; what is up to date is reused.
    """
    return train_and_compare(Path.cwd(), profile, settings, seeds, arms, changed_rules, max_parallel)


@flow(name="compare-arms", flow_run_name=partial(own_run.own_id, "compare"), task_runner=THREADS, persist_result=False)
def compare_arms(form: CompareForm = CompareForm()) -> State[Any]:  # noqa: B008
    """Train every arm with every seed, evaluate all on the same suites, and write one page."""
    return own_run.crash_state(_compare_arms, *start(form))


def _compare_arms(form: CompareForm, root: Path) -> State[Any]:
    training, limits = form.training, form.limits
    with own_run.own_run(root, "compare") as run:
        result = train_and_compare(
            *(run.worktree, training.chosen, training.settings, form.seeds, form.arms, form.changed_rules),
            *(limits.stages_at_a_time or None, limits.policy),
        )
        summary = {"page": str(result.page.relative_to(run.worktree)), "stages": len(result.outcomes)}
        own_run.finish_run(root, run, summary, push=form.push)
    return Completed(message=f"{run.id}: {result.page}")


def train_and_compare(
    root: Path,
    profile: str | None,
    settings: Sequence[str],
    seeds: Sequence[int],
    arms: Sequence[str],
    changed_rules: bool,
    max_parallel: int | None,
    policy: RetryPolicy | None = None,
) -> CompareResult:
    """Run the whole comparison over the working tree `root`, inside a flow."""
    params = write_params(root, profile, settings)
    chosen = comparison.arms_named(arms, params)
    preflight.require(root, params)
    dvcfile.follow_sources(root)
    dvcfile.check(root)
    with StageRunner(root=root, max_parallel=max_parallel or preflight.stages_at_a_time(params), policy=policy) as run:
        for stage in stages.DATA_STAGES:
            run(stage)
        compared = _Comparison(root, snapshot(root), params, run)
        trained = [compared.train(arm, seed) for seed in seeds for arm in chosen]
        again = [compared.ask_again(one) for one in trained if changed_rules and one.arm.after_change]
        outcomes = run.outcomes()
    page = comparison.write_page(root, comparison.gather(root, trained, "runs"), comparison.gather(root, again, "changed"), lambda _: None)
    tables = page.with_name("comparison.md").read_text(encoding="utf-8")
    create_markdown_artifact(tables, key="comparison", description="The figures of every arm, with intervals")
    return CompareResult(outcomes, page)


@dataclass(frozen=True)
class _Comparison:
    """Submits the stages of each arm, each in its worktree; the data that they share is made in the repository itself."""

    root: Path
    tree: str
    params: Params
    run: StageRunner
    _opened: dict[tuple[str, int], ArmRun] = field(default_factory=dict)

    def train(self, arm: Arm, seed: int) -> ArmRun:
        """Submit the training and the evaluation of the arm, and of the arm that it starts from; return its worktree."""
        if (arm.name, seed) in self._opened:
            return self._opened[arm.name, seed]
        arm_run = self._opened[arm.name, seed] = comparison.open_arm(self.root, arm, seed, self.tree, self.params)
        sources = [self.root] if arm.start is None else [self.train(get_arm(arm.start), seed).root, self.root]
        if arm_run.trained == stages.IFPO and arm.start is None:
            self._submit(stages.SFT, arm_run.root, *sources)
        if arm_run.trained not in stages.DATA_STAGES:
            self._submit(arm_run.trained, arm_run.root, *sources)
        self._submit(arm_run.evaluation, arm_run.root, *sources)
        return arm_run

    def ask_again(self, arm_run: ArmRun) -> ArmRun:
        """Submit the evaluation of the arm's checkpoint under the changed rules, in a worktree of its own."""
        changed = comparison.open_changed(self.root, arm_run, self.tree, self.params)
        self._submit(arm_run.evaluation, changed.root, self._changed_rules, arm_run.root, self.root)
        return changed

    @cached_property
    def _changed_rules(self) -> Path:
        worktree = comparison.open_changed_rules(self.root, self.tree, self.params)
        for stage in (stages.VALIDATE_RULES, stages.INDEX_RULES, stages.BUILD_SUITES):
            self._submit(stage, worktree)
        return worktree

    def _submit(self, stage: Stage, worktree: Path, *sources: Path) -> None:
        self.run(stage, worktree=worktree, sources=sources, prepare=partial(_prepare, self.root, worktree, stage))


def _prepare(root: Path, worktree: Path, stage: Stage, made_in: Mapping[Artifact, Path]) -> None:
    fetch_inputs(worktree, made_in)
    copy_entry(root, worktree, stage)
