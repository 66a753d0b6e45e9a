"""Retries, GPU slots and the time limit of stages in unattended runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency

from ascl_core.config.params import load_params
from ascl_core.errors import StageCrashed, StageError
from tasks.host.gpus import gpus
from tasks.registry.paths import PARAMETERS
from tasks.registry.stages import Stage

GPU_LIMIT = "gpu"
"""The concurrency limit that `ascl deploy` creates."""
_WAIT_S = 2.0
_LEASE_S = 60.0
"""How long a slot stays taken after its holder was killed."""


@dataclass(frozen=True)
class RetryPolicy:
    """By default, stages run once and share no GPU with another run."""

    retries: int = 0
    """How often a stage is retried if its process crashed; after any other error it never is."""
    retry_delays_s: Sequence[float] = (5.0, 20.0)
    """The wait before each retry; the last one is used for all that follow."""
    gpu_limit: str | None = None
    """Prefect's concurrency limit of which a stage on a GPU takes a slot; it must exist."""
    timeout_s: float | None = None
    """After this time, running stages are ended and no new ones start."""


class PolicyTasks:
    """Runs Prefect tasks by a policy, at most `at_a_time` in parallel.

    At the policy's time limit, or if an exception leaves its block, such as that of a signal, it ends what runs: Prefect would wait for it.
    """

    def __init__(self, policy: RetryPolicy, at_a_time: int) -> None:
        self._policy = policy
        self._slots = threading.BoundedSemaphore(at_a_time)
        self._interruption = threading.Event()
        self._failure: BaseException | None = None
        self._limit = threading.Timer(policy.timeout_s or threading.TIMEOUT_MAX, self._run_out)
        self._limit.daemon = True

    def __enter__(self) -> Self:
        self._limit.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._limit.cancel()
        if error is not None:
            self._interrupt(error)

    def _run_out(self) -> None:
        limit, hint = f"{self._policy.timeout_s or 0:.0f} s", "raise its limit, and run again: what was finished is kept"
        self._interrupt(StageError("the run ran out of time and was ended", value=limit, hint=hint))

    def _interrupt(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._interruption.set()

    def _is_retryable(self, error: object) -> bool:
        """Return whether a process or a GPU died by itself: wrong rules, parameters or data fail every time."""
        return isinstance(error, StageCrashed) and self._failure is None

    @property
    def _options(self) -> dict[str, Any]:
        """The options of each task."""
        return {
            "persist_result": False,
            "cache_policy": NO_CACHE,
            "retries": self._policy.retries,
            "retry_delay_seconds": list(self._policy.retry_delays_s)[: self._policy.retries] or 0,
            "retry_condition_fn": lambda _task, _run, state: self._is_retryable(state.data),
        }


def uses_gpu(stage: Stage, root: Path) -> bool:
    """Return whether the stage would run on a GPU with the parameters in `root`."""
    device = load_params(root / PARAMETERS).compute.device
    return "compute" in stage.sections and (device == "cuda" or (device == "auto" and bool(gpus())))


@contextmanager
def gpu_slot(stage: Stage, root: Path, policy: RetryPolicy, interruption: threading.Event) -> Iterator[None]:
    """Hold one slot of the policy's limit if the stage uses a GPU; `StageError` if the run is interrupted while it waits.

    Fails if the limit does not exist: Prefect would continue without one.
    """
    if policy.gpu_limit is None or not uses_gpu(stage, root):
        yield
        return
    held = None
    while held is None:
        attempt = concurrency(
            policy.gpu_limit, timeout_seconds=_WAIT_S, lease_duration=_LEASE_S, strict=True, raise_on_lease_renewal_failure=False
        )
        try:
            attempt.__enter__()
            held = attempt
        except TimeoutError:
            if interruption.is_set():
                raise StageError("the run was interrupted while it waited for a GPU", hint="run it again") from None
    try:
        yield
    finally:
        held.__exit__(None, None, None)
