"""One model in one thread: it loads, takes what waits in a bounded queue, and samples until the server ends."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from ascl_core.errors import AsclError
from ascl_core.serving.exchange import Exchange
from ascl_core.serving.problems import RequestError

LOG = logging.getLogger("ascl.serving")
Alike = Callable[[Exchange], Hashable]
"""What exchanges must have in common to be sampled in one batch."""


class Waiting:
    """The exchanges that wait their turn, first come, first served, and at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: deque[Exchange] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, exchange: Exchange) -> None:
        """Queue an exchange; `RequestError` where the queue is full or the server ends."""
        with self._changed:
            self._drop_cancelled()
            if self._closed:
                raise RequestError("the server is ending", 503, code="unavailable", retry_after_s=5)
            if len(self._queue) >= self._most:
                raise RequestError(f"{self._most} requests wait already", 429, code="queue_full", retry_after_s=2, hint="try again later")
            self._queue.append(exchange)
            self._changed.notify()

    def take(self, most: int, *, alike: Alike | None = None, wait: bool = True) -> list[Exchange]:
        """The first that waits, and others like it; with `wait` none only when the queue is closed."""
        with self._changed:
            self._drop_cancelled()
            while wait and not self._queue and not self._closed:
                self._changed.wait()
                self._drop_cancelled()
            if not self._queue or most < 1:
                return []
            kind = alike(self._queue[0]) if alike else None
            taken = [one for one in self._queue if alike is None or alike(one) == kind][:most]
            for one in taken:
                self._queue.remove(one)
            return taken

    def put_back(self, exchange: Exchange) -> None:
        """Queue an exchange that was let in before, in front of all others, for another attempt."""
        with self._changed:
            closed = self._closed
            if not closed:
                self._queue.appendleft(exchange)
        if closed:
            exchange.fail(RequestError("the server is ending", 503, code="unavailable", retry_after_s=5))

    def close(self) -> None:
        """Let nobody in any more, and send those away who wait."""
        with self._changed:
            self._closed = True
            left, self._queue = list(self._queue), deque()
            self._changed.notify_all()
        for one in left:
            one.fail(RequestError("the server is ending", 503, code="unavailable", retry_after_s=5))

    def _drop_cancelled(self) -> None:
        if any(one.is_cancelled for one in self._queue):
            self._queue = deque(one for one in self._queue if not one.is_cancelled)


class Backend(Protocol):
    """A loaded model."""

    tokenizer: Any
    context_length: int

    def serve(self, waiting: Waiting) -> None:
        """Sample what waits until the queue is closed; an exchange that cannot be sampled fails alone or with its batch."""


class Engine:
    """The thread with the model.

    Args:
        load: Makes the backend, in that thread.
        queue: The most exchanges that may wait.
        on_end: Called from that thread when it ends before it was told to.
    """

    def __init__(self, load: Callable[[], Backend], *, queue: int, on_end: Callable[[], None]) -> None:
        self._load = load
        self._on_end = on_end
        self.waiting = Waiting(queue)
        self.backend: Backend | None = None
        """None while the model loads."""
        self.error: AsclError | None = None
        """Why the model cannot be loaded."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Load the model, then serve."""
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded, and its thread at work."""
        return self.backend is not None and self._thread.is_alive() and not self._stopped.is_set()

    def ready_backend(self) -> Backend:
        """The loaded model; `RequestError` before it is there."""
        if self.backend is None or not self.is_ready:
            raise RequestError("the model is not loaded yet", 503, code="unavailable", retry_after_s=5, hint="ask /health")
        return self.backend

    def stop(self, wait_s: float) -> None:
        """Send away who waits, and wait for what is being sampled."""
        self._stopped.set()
        self.waiting.close()
        if self.backend is not None:
            self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            self.backend = self._load()
            self.backend.serve(self.waiting)
        except AsclError as error:
            self.error = error
        except Exception as error:
            LOG.exception("the engine ended")
            self.error = AsclError(f"the model's thread ended: {type(error).__name__}: {error}", hint="read the log above")
        finally:
            if not self._stopped.is_set():
                self.waiting.close()
                self._on_end()


def failed(error: Exception) -> RequestError:
    """What clients are told of an error of the model; the log has all of it."""
    LOG.error("a batch failed", exc_info=error)
    return RequestError("the model failed at this request", 500, code="model_error", hint="the server's log says why")
