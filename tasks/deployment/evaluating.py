"""Evaluations of recorded checkpoints as Prefect tasks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from ascl_core.artifacts import read_json, sha256_json
from tasks.execution.policy import Policy, TimeLimit, gpu_slot, is_worth_another_try
from tasks.execution.supervisor import interruption
from tasks.registry.stages import CANDIDATE, EVALUATE
from tasks.runs.recorded import Evaluated, evaluate_recorded
from tasks.runs.runs import Run

FOLDER = Path("data") / "evaluations"
_STAGE = EVALUATE[CANDIDATE.name]


class Evaluations:
    """Evaluates checkpoints, so many at a time; where one fails the others go on, and the first failure is raised at the end."""

    def __init__(self, root: Path, run: Run, rules: str, suites: str, at_a_time: int, policy: Policy) -> None:
        self._root, self._run, self._asked, self._policy = root, run, (rules, suites), policy
        self._slots = threading.BoundedSemaphore(at_a_time)
        self._interruption = threading.Event()
        self._limit = TimeLimit(policy, self._interruption.set)
        self._futures: list[PrefectFuture[Any]] = []

    def __enter__(self) -> Evaluations:
        self._limit.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._limit.stop()
        if error is not None:
            self._interruption.set()

    def submit(self, name: str) -> None:
        """Have the checkpoint of that name evaluated."""

        @task(
            name="evaluate a checkpoint",
            task_run_name=f"evaluate {name}",
            persist_result=False,
            cache_policy=NO_CACHE,
            **cast(dict[str, Any], self._policy.task_options),
            retry_condition_fn=lambda _task, _run, state: is_worth_another_try(state.data),
        )
        def run_evaluation() -> Any:
            interruption.set(self._interruption)
            with self._slots, gpu_slot(_STAGE, self._run.place, self._policy, self._interruption):
                return evaluate_recorded(self._root, self._run.place, name, *self._asked, self._folder(name), lambda _: None)

        self._futures.append(cast(PrefectFuture[Any], cast(Any, run_evaluation).submit()))

    def results(self) -> list[Evaluated]:
        """What was evaluated, in the order in which it was asked for."""
        for future in self._futures:
            future.wait()
        return [future.result() for future in self._futures]

    def _folder(self, name: str) -> Path:
        return self._run.place / FOLDER / sha256_json([name, *self._asked])[:12]


def summary(run: Run, done: Sequence[Evaluated]) -> dict[str, Any]:
    """What `data/run.json` says of the evaluations."""
    return {
        "evaluations": [
            {
                "checkpoint": one.name,
                "sha256": one.checkpoint_sha256,
                "metrics": str(one.metrics.relative_to(run.place)),
                "headline": read_json(one.metrics)["headline"],
            }
            for one in done
        ]
    }
