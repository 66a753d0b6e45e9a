"""Heartbeats of a flow run that suspends itself.

Prefect's own heartbeats continue while a run is being suspended, and one that reaches the server after the suspension makes the automation
mark the waiting run as crashed. So in the deployment `promote` Prefect sends one heartbeat at the start, this module sends those while it
works, and the event that it waits is the last one.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

from prefect import get_client
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.exceptions import Pause

from tasks.deployment import events
from tasks.deployment.own_run import flow_run

HEARTBEAT = "prefect.flow-run.heartbeat"
EVERY_S = 30.0
_DELIVER_S = 30.0


@contextmanager
def suspending() -> Iterator[None]:
    """Post that the run waits, after every heartbeat of this process, if the block suspends the run."""
    try:
        yield
    except Pause:
        EventsWorker.drain_all(timeout=_DELIVER_S)
        post = partial(_waits, flow_run())
        post()
        atexit.register(post)  # again when Prefect's threads have ended: on a busy machine one of their heartbeats may come late
        raise


def _waits(run: Any) -> None:
    with get_client(sync_client=True) as client:
        events.waits(client, run)


@contextmanager
def beating(every_s: float = EVERY_S) -> Iterator[None]:
    """Send a heartbeat of this flow run at the start of the block, and then every `every_s` seconds until its end."""
    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run().id}", "prefect.resource.name": str(flow_run().name)}
    over = threading.Event()

    def beat() -> None:
        while True:
            emit_event(HEARTBEAT, resource=dict(resource))
            if over.wait(every_s):
                return

    thread = threading.Thread(target=copy_context().run, args=(beat,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
