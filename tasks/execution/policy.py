"""How stages run where nobody sits at a terminal: what is tried again, what shares the GPUs, and when it ends."""

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
_LOOK_S = 2.0
_LEASE_S = 60.0
"""How long a slot stays taken whose holder was killed."""


@dataclass(frozen=True)
class Policy:
    """Without one, stages run once, and share no GPU with another run."""

    retries: int = 0
    """How often a stage whose process crashed is tried again; one with any other error never is."""
    retry_delays_s: Sequence[float] = (5.0, 20.0)
    """What is waited before each of them; the last one counts for all that follow."""
    gpu_limit: str | None = None
    """The concurrency limit of Prefect of which a stage on a GPU takes a slot; it must exist."""
    timeout_s: float | None = None
    """When the stages that run are ended and nothing new starts."""

    @property
    def task_options(self) -> dict[str, object]:
        """What a Prefect task is told of it, its condition apart."""
        return {"retries": self.retries, "retry_delay_seconds": list(self.retry_delays_s)[: self.retries] or 0}


class TimeLimit:
    """Calls `reached` once the policy's time is up, unless it was stopped before."""

    def __init__(self, policy: Policy, reached: Callable[[], None]) -> None:
        self._timer = None if policy.timeout_s is None else threading.Timer(policy.timeout_s, reached)

    def start(self) -> None:
        """Let the time run."""
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Nothing is called any more."""
        if self._timer is not None:
            self._timer.cancel()


def is_worth_another_try(error: object) -> bool:
    """Only where a process or a GPU died by itself: no rule, parameter or data gets better by trying."""
    return isinstance(error, StageCrashed)


def uses_gpu(stage: Stage, root: Path) -> bool:
    """Whether the stage would run on a GPU with the parameters in `root`."""
    device = load_params(root / "params.yaml").compute.device
    return "compute" in stage.sections and (device == "cuda" or (device == "auto" and bool(gpus())))


@contextmanager
def gpu_slot(stage: Stage, root: Path, policy: Policy, interruption: threading.Event) -> Iterator[None]:
    """Hold one slot of the policy's limit, where the stage uses a GPU; an interruption is heeded while it waits.

    Fails where the limit does not exist: Prefect would go on without one.
    """
    if policy.gpu_limit is None or not uses_gpu(stage, root):
        yield
        return
    held = None
    while held is None:
        attempt = concurrency(
            policy.gpu_limit, timeout_seconds=_LOOK_S, lease_duration=_LEASE_S, strict=True, raise_on_lease_renewal_failure=False
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
