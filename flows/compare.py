"""The comparison of ASCL + IFPO with its baselines: the same stages, with other seeds and other ways of rebalancing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import Field

from ascl_core.arms import Arm, get_arm
from ascl_core.config.params import Params
from tasks.execution import comparison
from tasks.execution.comparison import Place
from tasks.execution.materialise import Outcome
from tasks.execution.policy import Policy
from tasks.execution.prefect_stage import StageRunner
from tasks.host import preflight
from tasks.registry import dvcfile, stages
from tasks.registry.parameters import write_params
from tasks.registry.stages import Artifact, Stage
from tasks.repository.worktrees import adopt, fetch_inputs, snapshot

_THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=512))


@dataclass(frozen=True)
class CompareResult:
    """What every stage did in its workspace, and where the page is."""

    outcomes: list[Outcome]
    page: Path


@flow(name="compare", task_runner=_THREADS, persist_result=False, validate_parameters=True)
def compare(
    profile: Annotated[str | None, Field(description="A file under profiles/; none keeps params.yaml as it is.")] = None,
    settings: Annotated[list[str], Field(description="Changed parameters, such as ifpo.max_steps=100.")] = [],  # noqa: B006
    seeds: Annotated[list[int], Field(min_length=1, description="One training a seed and arm.")] = [0, 1, 2],  # noqa: B006
    arms: Annotated[list[str], Field(description="Names of arms; none: all of them.")] = [],  # noqa: B006
    changed_rules: Annotated[bool, Field(description="Ask again after rules were flipped, with no training.")] = True,
    max_parallel: Annotated[int | None, Field(ge=1, le=16, description="Stages at a time; none: as many as the cores carry.")] = None,
) -> CompareResult:
    """Train every arm with every seed, evaluate all on the same suites, and write one page.

    What arms and seeds have in common is made once; what is up to date is reused.
    """
    return train_and_compare(Path.cwd(), profile, settings, seeds, arms, changed_rules, max_parallel)


def train_and_compare(
    root: Path,
    profile: str | None,
    settings: Sequence[str],
    seeds: Sequence[int],
    arms: Sequence[str],
    changed_rules: bool,
    max_parallel: int | None,
    policy: Policy | None = None,
) -> CompareResult:
    """The whole comparison over the working tree `root`, inside a flow."""
    params = write_params(root, profile, settings)
    chosen = comparison.arms_named(arms, params)
    preflight.require(root, params)
    dvcfile.follow_sources(root)
    dvcfile.check(root)
    tree = snapshot(root)
    with StageRunner(root=root, max_parallel=max_parallel or preflight.stages_at_a_time(params), policy=policy) as run:
        compared = _Comparison(root, tree, params, run)
        places = [compared.train(arm, seed) for seed in seeds for arm in chosen]
        again = [compared.ask_again(place) for place in places if changed_rules and place.arm.after_change]
        outcomes = run.outcomes()
    runs, changed = comparison.gather(root, places, "runs"), comparison.gather(root, again, "changed")
    page = comparison.write_page(root, runs, changed, lambda _: None)
    tables = page.with_name("comparison.md").read_text(encoding="utf-8")
    create_markdown_artifact(tables, key="comparison", description="Every arm's figures, with intervals")
    return CompareResult(outcomes, page)


class _Comparison:
    """Submits the stages of each arm, each in the workspace where it belongs; the data they share is made in the repository itself."""

    def __init__(self, root: Path, tree: str, params: Params, run: StageRunner) -> None:
        self.root, self.tree, self.params, self.run = root, tree, params, run
        self._futures: dict[tuple[Path, str], PrefectFuture[Any]] = {}
        self._places: dict[tuple[str, int], Place] = {}
        for stage in stages.DATA_STAGES:
            self._submit(stage, root, after=root)

    def train(self, arm: Arm, seed: int) -> Place:
        """The arm's training and evaluation, once; returns where they are."""
        if (arm.name, seed) in self._places:
            return self._places[arm.name, seed]
        place = self._places[arm.name, seed] = comparison.open_arm(self.root, arm, seed, self.tree, self.params)
        sources = [self.root]
        if arm.start is not None:
            sources = [self.train(get_arm(arm.start), seed).root, self.root]
        if place.trained == stages.IFPO and arm.start is None:
            self._submit(stages.SFT, place.root, *sources, after=self.root)
        if place.trained not in stages.DATA_STAGES:
            self._submit(place.trained, place.root, *sources, after=sources[0])
        self._submit(place.evaluation, place.root, *sources, after=place.root)
        return place

    def ask_again(self, place: Place) -> Place:
        """The arm's checkpoint on the suites as the changed rules have them."""
        rules = self._changed_rules
        changed = comparison.open_changed(self.root, place, self.tree, self.params)
        self._submit(place.evaluation, changed.root, rules, place.root, self.root, after=place.root)
        return changed

    @cached_property
    def _changed_rules(self) -> Path:
        place = comparison.open_changed_rules(self.root, self.tree, self.params)
        for stage in (stages.VALIDATE_RULES, stages.INDEX_RULES, stages.BUILD_SUITES):
            self._submit(stage, place, after=place)
        return place

    def _submit(self, stage: Stage, place: Path, *sources: Path, after: Path) -> None:
        """Once for each stage and place: after all that was submitted in `after`, in the place itself and in its sources."""
        if (place, stage.name) in self._futures:
            return
        needed = [future for (root, _), future in self._futures.items() if root in (place, after, *sources)]
        if place == self.root:
            self._futures[place, stage.name] = self.run(stage, *needed)
            return
        made_here = [out for root, name in self._futures if root == place for out in stages.get_stage(name).outputs.values()]
        prepare = partial(_prepare, stage, place, sources, made_here, self.root)
        self._futures[place, stage.name] = self.run(stage, *needed, root=place, prepare=prepare)


def _prepare(stage: Stage, place: Path, sources: tuple[Path, ...], made_here: list[Artifact], root: Path) -> None:
    fetch_inputs(stage, place, sources, made_here)
    adopt(root, place, stage)
