"""One model in one thread: it loads, takes requests from a bounded queue, and generates until the server stops."""

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
"""The property that exchanges must share to be generated in one batch."""


class Waiting:
    """A bounded queue of exchanges, first come, first served."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: deque[Exchange] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, exchange: Exchange) -> None:
        """Queue an exchange; `RequestError` if the queue is full or the server is stopping."""
        with self._changed:
            self._drop_cancelled()
            if self._closed:
                raise _stopping()
            if len(self._queue) >= self._most:
                raise RequestError(
                    f"{self._most} requests are waiting already", 429, code="queue_full", retry_after_s=2, hint="try again later"
                )
            self._queue.append(exchange)
            self._changed.notify()

    def take(self, most: int, *, alike: Alike | None = None, wait: bool = True) -> list[Exchange]:
        """Return the first exchange and others like it; with `wait`, an empty list means that the queue is closed."""
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
        """Queue an exchange for another attempt, in front of all others."""
        with self._changed:
            closed = self._closed
            if not closed:
                self._queue.appendleft(exchange)
        if closed:
            exchange.fail(_stopping())

    def close(self) -> None:
        """Accept no more exchanges, and fail those that wait."""
        with self._changed:
            self._closed = True
            left, self._queue = list(self._queue), deque()
            self._changed.notify_all()
        for one in left:
            one.fail(_stopping())

    def _drop_cancelled(self) -> None:
        if any(one.is_cancelled for one in self._queue):
            self._queue = deque(one for one in self._queue if not one.is_cancelled)


class Backend(Protocol):
    """A loaded model."""

    tokenizer: Any
    context_length: int

    @property
    def has_log_probs(self) -> bool:
        """Whether log-probabilities are of the distribution that a token is drawn from."""

    def serve(self, waiting: Waiting) -> None:
        """Generate for the queue until it is closed; an exchange that cannot be served fails alone or with its batch."""


class Engine:
    """The thread with the model.

    Args:
        load: Loads the backend, in that thread.
        queue: How many exchanges may wait.
        on_end: Called from that thread if it ends without `stop`.
    """

    def __init__(self, load: Callable[[], Backend], *, queue: int, on_end: Callable[[], None]) -> None:
        self._load = load
        self._on_end = on_end
        self.waiting = Waiting(queue)
        self.backend: Backend | None = None
        """None while the model loads."""
        self.error: AsclError | None = None
        """Why the model could not be loaded, or stopped working."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Load the model, then serve."""
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded and its thread is running."""
        return self.backend is not None and self._thread.is_alive() and not self._stopped.is_set()

    def ready_backend(self) -> Backend:
        """Return the loaded model; `RequestError` while it loads."""
        if self.backend is None or not self.is_ready:
            raise RequestError("the model is not loaded yet", 503, code="unavailable", retry_after_s=5, hint="see /health")
        return self.backend

    def stop(self, wait_s: float) -> None:
        """Fail the waiting exchanges, and wait for the running ones."""
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


def _stopping() -> RequestError:
    return RequestError("the server is stopping", 503, code="unavailable", retry_after_s=5)


def model_failure(error: Exception) -> RequestError:
    """Log an error of the model, and return the error for the client, without its details."""
    LOG.error("a batch failed", exc_info=error)
    return RequestError("the model failed on this request", 500, code="model_error", hint="see the server's log")
