"""Where work that is done in shards runs: one process, several of this machine, or Dask workers through Prefect's task runner."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ascl_core.contracts import Engine, Job, Result, one_by_one
from tasks.execution.local_server import prefect_server
from tasks.host.engine_check import engine_problem
from tasks.host.environment import prepare


def on_engine(function: Callable[[Job], Result], jobs: Sequence[Job], engine: Engine) -> Iterator[Result]:
    """What the function returns for each job, in their order, as `ascl_core.contracts.Mapper` says; jobs and results are small.

    A job names files: the workers of another machine must see them under the same path.
    """
    if engine.name == "dask":
        return _on_dask(function, jobs, engine)
    return one_by_one(function, jobs, engine) if engine.workers == 1 else _in_processes(function, jobs, engine.workers)


def _in_processes(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    with ProcessPoolExecutor(min(workers, len(jobs)) or 1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, jobs)


def _on_dask(function: Callable[[Job], Result], jobs: Sequence[Job], engine: Engine) -> Iterator[Result]:
    if (problem := engine_problem(engine)) is not None:
        raise problem
    prepare(Path.cwd())
    with prefect_server(Path.cwd()):
        yield from _as_tasks(function, jobs, engine)


def _as_tasks(function: Callable[[Job], Result], jobs: Sequence[Job], engine: Engine) -> Iterator[Result]:
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    work: Any = task(name=function.__name__, cache_policy=NO_CACHE, persist_result=False)(function)

    @flow(name=f"{function.__name__} on Dask", task_runner=_runner(engine))
    def in_shards() -> Iterator[Any]:
        for future in work.map(jobs):
            yield future.result()

    yield from in_shards()


def _runner(engine: Engine) -> Any:
    from prefect_dask import DaskTaskRunner

    if engine.address is not None:
        return DaskTaskRunner(address=engine.address)
    cluster = {"n_workers": engine.workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    return DaskTaskRunner(cluster_kwargs=cluster)
