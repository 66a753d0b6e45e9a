"""Retries, GPU slots and the time limit of stages in unattended runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect.concurrency.sync import concurrency

from ascl_core.config.params import load_params
from ascl_core.errors import StageCrashed, StageError
from tasks.host.gpus import gpus
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

    @property
    def task_options(self) -> dict[str, object]:
        """The options of a Prefect task, except the retry condition."""
        return {"retries": self.retries, "retry_delay_seconds": list(self.retry_delays_s)[: self.retries] or 0}


def time_limit(policy: RetryPolicy, reached: Callable[[], None]) -> threading.Timer:
    """Return a timer that calls `reached` when the policy's time is up, once it is started and unless it is cancelled."""
    timer = threading.Timer(policy.timeout_s or threading.TIMEOUT_MAX, reached)
    timer.daemon = True
    return timer


def is_retryable(error: object) -> bool:
    """Return whether a process or a GPU died by itself: wrong rules, parameters or data fail every time."""
    return isinstance(error, StageCrashed)


def uses_gpu(stage: Stage, root: Path) -> bool:
    """Return whether the stage would run on a GPU with the parameters in `root`."""
    device = load_params(root / "params.yaml").compute.device
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
