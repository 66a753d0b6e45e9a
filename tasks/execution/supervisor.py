"""The supervisor: starts a stage as a process, watches it, and ends all its processes.

Every process of a stage has the path of the stage's lock in its environment. The holder of the lock is the stage's only supervisor;
processes with that mark that are alive when the lock is free were left by a supervisor that was killed, and are ended before anything new
starts, whatever session they are in.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

import psutil

from ascl_core.errors import StageError
from ascl_core.progress import ENVIRONMENT_VARIABLE, ProgressEvent
from tasks.registry.paths import LOGS
from tasks.repository.locking import lock_file

MARK = "ASCL_STAGE_LOCK"
_POLL_S = 0.1
_GRACE_S = 5.0
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
OnEvent = Callable[[ProgressEvent], None]

interruption: ContextVar[threading.Event] = ContextVar("interruption", default=threading.Event())  # noqa: B039
"""The event that interrupts what is supervised in this thread: signals reach only the main thread."""


@contextmanager
def only_supervisor(lock: Path, *, wait_s: float, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Be the only supervisor that holds `lock`; waits for another one, then ends the processes that a killed one left."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w", encoding="utf-8") as file:
        _acquire(file.fileno(), lock, wait_s, on_wait)
        end_marked(lock)
        yield


def run_supervised(
    command: Sequence[str], *, lock: Path, cwd: Path, log: Path, progress: Path, timeout_s: float, on_event: OnEvent
) -> int | None:
    """Run `command` to its end and return its exit status (negative: the signal), or None when it ran out of time.

    Its output goes to `log`, its progress events to `on_event`. None of its processes is left, however this ends.
    Raises `StageError` if this thread's work is interrupted.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, MARK: str(lock), ENVIRONMENT_VARIABLE: str(progress), **_ENVIRONMENT}
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid(), signal.SIGKILL),
        )
    events = _Events(progress, on_event)
    deadline = time.monotonic() + timeout_s
    try:
        while process.poll() is None:
            if time.monotonic() > deadline:
                return None
            _check_interruption(log)
            events.read()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
        events.read()
        return process.returncode
    finally:
        end_marked(lock)
        process.wait()


def supervise(
    command: Sequence[str], *, root: Path, name: str, folder: Path, timeout_s: float, on_event: OnEvent
) -> tuple[int | None, Path]:
    """Run `command` in `root` as the only process of that name, with its progress in `folder`; return its exit status and its log."""
    lock, log, progress = lock_file(root, name), log_file(root, name), folder / "progress.jsonl"
    with only_supervisor(lock, wait_s=timeout_s):
        status = run_supervised(command, lock=lock, cwd=root, log=log, progress=progress, timeout_s=timeout_s, on_event=on_event)
    return status, log


def log_file(root: Path, name: str) -> Path:
    """Return the file for the output of a process of that name that starts now."""
    return root / LOGS / name / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.log"


def end_with_parent(parent: int, by: signal.Signals) -> Callable[[], None]:
    """Return the function that a child runs first so that the kernel ends it when its parent dies (Linux only)."""

    def ask() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, by)
            if os.getppid() != parent:
                os._exit(1)

    return ask


def follow_parent(by: signal.Signals) -> None:
    """Let the kernel send this process `by` when its parent dies (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, by)


def end_marked(lock: Path) -> None:
    """End every process with the mark of `lock`: by SIGTERM, then by SIGKILL."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        marked = _marked(lock)
        for process in marked:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
        if marked:
            psutil.wait_procs(marked, timeout=_GRACE_S)


def _marked(lock: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(lock) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _acquire(descriptor: int, lock: Path, wait_s: float, on_wait: Callable[[], None]) -> None:
    deadline = time.monotonic() + wait_s
    reported = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            _check_interruption(lock)
            if time.monotonic() > deadline:
                raise StageError(
                    "another run has held this stage for too long", file=lock, value=f"{wait_s:.0f} s", hint="end that run, and run again"
                ) from None
            if not reported:
                on_wait()
                reported = True
            time.sleep(_POLL_S)


def _check_interruption(file: Path) -> None:
    if interruption.get().is_set():
        raise StageError("the run was interrupted", file=file, hint="run it again: it resumes from its last save")


class _Events:
    """Reads the lines that were added to the progress file since the last call."""

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self._path = path
        self._on_event = on_event
        self._position = path.stat().st_size if path.exists() else 0

    def read(self) -> None:
        if not self._path.exists():
            return
        with open(self._path, "rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._position += len(line)
                self._on_event(ProgressEvent(**json.loads(line)))
