"""One stage as a Prefect task; besides this module and `policy`, only `tasks.deployment` uses Prefect.

Prefect decides when a stage is due, and `bring_up_to_date` whether it must run, so Prefect's result cache and storage are off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, cast
from uuid import UUID

import httpx
from prefect import Task, get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.assets import add_asset_metadata, materialize
from prefect.context import AssetContext
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Cancelled

from ascl_core.progress import ProgressEvent
from tasks.evidence.record import read_record
from tasks.execution.checks import upstream_checks
from tasks.execution.policy import PolicyTasks, RetryPolicy, gpu_slot
from tasks.execution.supervisor import interruption
from tasks.execution.up_to_date import Outcome, bring_up_to_date
from tasks.registry.stages import STAGES, Artifact, Stage, upstream
from tasks.repository import outputs
from tasks.repository.staleness import current

_PROGRESS_INTERVAL_S = 2.0
Prepare = Callable[[Mapping[Artifact, Path]], None]
"""Called in a worktree before a stage runs there, with the root in which each of its inputs is made."""


class Listener(Protocol):
    """Follows the stages of a run, as the terminal does; called from the threads in which they run."""

    def started(self, stage: Stage) -> None: ...
    def progressed(self, stage: Stage, event: ProgressEvent) -> None: ...
    def finished(self, stage: Stage, outcome: Outcome | None) -> None: ...
    def warned(self, problem: str) -> None: ...


listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
"""The listener of the flow that is called in this context."""


def warn(problem: str) -> None:
    """Show a problem that fails nothing in the flow run's log and to the listener."""
    get_run_logger().warning(problem)
    if following := listener.get():
        following.warned(problem)


@dataclass(frozen=True)
class _Known:
    """What is known of the stages of a root before they are due."""

    current: frozenset[str] = frozenset()
    """Those that are up to date, as is everything upstream of them."""
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What was missing of those whose outputs were restored."""


class StageRunner(PolicyTasks):
    """Runs stages as Prefect tasks, in the order of the registry, at most `max_parallel` at a time; after a failure nothing new starts."""

    def __init__(
        self,
        *,
        root: Path | None = None,
        force: Collection[str] = (),
        max_parallel: int = 1,
        policy: RetryPolicy | None = None,
        done: Callable[[Stage, Outcome], None] = lambda stage, outcome: None,
    ) -> None:
        """Call `done` after each stage that ended well in the runner's own root, from the thread in which it ran."""
        super().__init__(policy or RetryPolicy(), max_parallel)
        self._root = root or Path.cwd()
        self._force = frozenset(force)
        self._done = done
        self._futures: dict[tuple[Path, str], PrefectFuture[Any]] = {}
        self._found: _Known | None = None
        self._asking = Lock()

    def __call__(self, stage: Stage, *, worktree: Path | None = None, sources: Sequence[Path] = (), prepare: Prepare | None = None) -> None:
        """Submit the stage, once for each root, to run after the submitted stages that make its inputs.

        It runs in the runner's own root or in `worktree`, where one stage runs at a time; its inputs are made there, or in the first of
        `sources` in which their stage was submitted.
        """
        here = worktree or self._root
        if (here, stage.name) in self._futures:
            return
        made_in = self._made_in(stage, (here, *sources))
        after = [self._futures[root, producer.name] for artifact, producer in upstream(stage).items() if (root := made_in.get(artifact))]
        if worktree is not None:
            after += [future for (root, _), future in self._futures.items() if root == worktree]
        ready = None if prepare is None else partial(prepare, made_in)
        task = cast(Any, self._task(stage, worktree, ready))
        self._futures[here, stage.name] = cast(PrefectFuture[Any], task.submit(wait_for=list(dict.fromkeys(after))))

    def _made_in(self, stage: Stage, roots: Sequence[Path]) -> dict[Artifact, Path]:
        """Return for each input the first root in which the stage that makes it was submitted."""
        found = {artifact: [root for root in roots if (root, made.name) in self._futures] for artifact, made in upstream(stage).items()}
        return {artifact: submitted[0] for artifact, submitted in found.items() if submitted}

    def outcomes(self) -> list[Outcome]:
        """Return what each stage did, in the order in which they were submitted; raises the first failure."""
        for future in self._futures.values():
            future.wait()
        if self._failure is not None:
            raise self._failure
        return [future.result() for future in self._futures.values()]

    def _task(self, stage: Stage, root: Path | None, prepare: Callable[[], None] | None) -> Task[[], Any]:
        name, tries = f"{stage.name} in {root.name}" if root else stage.name, count()

        @cast(Any, _declared(stage) if root is None else task)(
            name=stage.name,
            task_run_name=name,
            description=stage.summary,
            **self._options,
        )
        def run_stage() -> Any:
            with self._slots:
                if self._failure is not None:
                    return Cancelled(message="not started: another stage failed")
                return self._run(stage, root, prepare, is_last=next(tries) == self._policy.retries)

        return cast("Task[[], Any]", run_stage)

    def _run(self, stage: Stage, root: Path | None, prepare: Callable[[], None] | None, *, is_last: bool) -> Outcome:
        watcher = _Watcher(stage if root is None else replace(stage, name=f"{stage.name} in {root.name}"))
        outcome = None
        interruption.set(self._interruption)
        watcher.started()
        try:
            if prepare is not None:
                prepare()
            known = _Known() if root is not None or stage.name in self._force else self._known_at_first()
            outcome = bring_up_to_date(
                stage,
                root=root or self._root,
                force=stage.name in self._force,
                on_event=watcher.progressed,
                run_id=_run_id(),
                checks_ran=self._submitted >= {check.name for check in upstream_checks(stage)},
                was_current=stage.name in known.current,
                lost=known.lost.get(stage.name, ()),
                slot=partial(gpu_slot, stage, root or self._root, self._policy, self._interruption),
            )
        except BaseException as error:
            if is_last or not self._is_retryable(error):
                self._failure = self._failure or error
            raise
        finally:
            watcher.finished(outcome)
        if root is None:
            _describe(stage, self._root, outcome)
            self._done(stage, outcome)
        return outcome

    def _known_at_first(self) -> _Known:
        """Return what was up to date when the first stage was due, after what was lost was restored; nothing of forced stages and below."""
        with self._asking:
            if self._found is None:
                stages = [stage for stage in STAGES if stage.name not in self._force]
                lost = outputs.restore_lost(self._root, stages)
                self._found = _Known(current(self._root, stages), lost)
            return self._found

    @property
    def _submitted(self) -> set[str]:
        """The names of the stages that this runner runs, in whatever root; those upstream of a stage end before it starts."""
        return {name for _, name in list(self._futures)}


def _run_id() -> str | None:
    return str(flow_run.id) if flow_run.id else None


def asset_key(artifact: Artifact) -> str:
    """Return the name of an artifact among Prefect's assets."""
    return f"ascl://{artifact.path}"


def _declared(stage: Stage) -> Callable[..., Any]:
    """Return a decorator for a task that makes the stage's outputs from its inputs as assets, from which Prefect Cloud draws lineage.

    A local server keeps the events. Outputs in another worktree, such as an arm of a comparison, are no assets.
    """
    made = [asset_key(artifact) for artifact in stage.outputs.values()]
    return partial(materialize, *made, by="ascl", asset_deps=[asset_key(artifact) for artifact in stage.input_artifacts()])


def _describe(stage: Stage, root: Path, outcome: Outcome) -> None:
    """Add to each asset its SHA-256, and what was done about the stage."""
    record = read_record(root / stage.record.path)
    if record is not None and AssetContext.get() is not None:
        for artifact in stage.outputs.values():
            add_asset_metadata(asset_key(artifact), {"sha256": record.outputs[artifact.path], "action": outcome.action})


class _Watcher:
    """Reports the progress of a stage to Prefect and to the listener."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._listener = listener.get()
        self._artifact: UUID | None = None
        self._reported_s = 0.0

    def started(self) -> None:
        if self._listener:
            self._listener.started(self._stage)

    def progressed(self, event: ProgressEvent) -> None:
        if self._listener:
            self._listener.progressed(self._stage, event)
        if event.total and time.monotonic() - self._reported_s >= _PROGRESS_INTERVAL_S:
            self._reported_s = time.monotonic()
            self._report(100.0 * event.done / event.total, f"{event.task} {event.note}".strip())

    def finished(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            get_run_logger().info("%s: %s", outcome.action, "; ".join(outcome.reasons))
            if self._artifact is not None:
                self._report(100.0, outcome.action)
        if self._listener:
            self._listener.finished(self._stage, outcome)

    def _report(self, percent: float, description: str) -> None:
        """Show the progress on the page of the run; a server that does not take it is only a warning."""
        try:
            if self._artifact is None:
                key = f"progress-{self._stage.name.replace('_', '-').replace(' ', '-')}"
                self._artifact = cast(UUID, create_progress_artifact(progress=percent, key=key, description=description))
            else:
                update_progress_artifact(artifact_id=self._artifact, progress=percent, description=description)
        except (httpx.HTTPError, ObjectNotFound) as error:
            get_run_logger().warning("the server does not take the progress: %s", error)
