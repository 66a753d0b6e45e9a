"""Evaluations of recorded checkpoints as Prefect tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from prefect import task
from prefect.futures import PrefectFuture

from ascl_core.artifacts import read_json, sha256_json
from tasks.execution.policy import PolicyTasks, RetryPolicy, gpu_slot
from tasks.execution.supervisor import interruption
from tasks.registry.paths import EVALUATIONS
from tasks.registry.stages import EVALUATION
from tasks.runs.recorded import Evaluated, evaluate_recorded
from tasks.runs.runs import Run


class Evaluations(PolicyTasks):
    """Evaluates checkpoints, `at_a_time` in parallel; if one fails the others continue, and the first failure is raised at the end."""

    def __init__(self, root: Path, run: Run, rules: str, suites: str, at_a_time: int, policy: RetryPolicy) -> None:
        super().__init__(policy, at_a_time)
        self._root, self._run, self._asked = root, run, (rules, suites)
        self._futures: list[PrefectFuture[Any]] = []

    def submit(self, name: str) -> None:
        """Submit the evaluation of the checkpoint of that name."""

        @task(name="evaluate a checkpoint", task_run_name=f"evaluate {name}", **self._options)
        def run_evaluation() -> Any:
            interruption.set(self._interruption)
            with self._slots, gpu_slot(EVALUATION, self._run.worktree, self._policy, self._interruption):
                if self._failure is not None:
                    raise self._failure
                return evaluate_recorded(self._root, self._run.worktree, name, *self._asked, self._folder(name), lambda _: None)

        self._futures.append(cast(PrefectFuture[Any], cast(Any, run_evaluation).submit()))

    def results(self) -> list[Evaluated]:
        """Return the results in the order in which they were submitted; raises the first failure."""
        for future in self._futures:
            future.wait()
        if self._failure is not None:
            raise self._failure
        return [future.result() for future in self._futures]

    def _folder(self, name: str) -> Path:
        return self._run.worktree / EVALUATIONS / sha256_json([name, *self._asked])[:12]


def summary(run: Run, done: Sequence[Evaluated]) -> dict[str, Any]:
    """Return the evaluations as `data/run.json` lists them."""
    return {
        "evaluations": [
            {
                "checkpoint": one.name,
                "sha256": one.checkpoint_sha256,
                "metrics": str(one.metrics.relative_to(run.worktree)),
                "headline": read_json(one.metrics)["headline"],
            }
            for one in done
        ]
    }
