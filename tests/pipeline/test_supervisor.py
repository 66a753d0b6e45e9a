"""The supervisor with real processes: how they end, what they say while they run, and that nothing of them is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from ascl_core.errors import StageError
from ascl_core.progress import ENVIRONMENT_VARIABLE, ProgressEvent
from tasks.execution import supervisor
from tasks.execution.supervisor import MARK, end_marked, interruption, only_supervisor, run_supervised
from tests.pipeline.workspace import REPOSITORY, wait_until

SLEEPS = "import time; time.sleep(600)"
FINDS_OURS = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})"
STARTS_ONE_IN_A_SESSION_OF_ITS_OWN = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEPS!r}], start_new_session=True)
open("child", "w").write(str(child.pid))
os._exit(0)
"""

HOLDS = f"""
import time
{FINDS_OURS}
from pathlib import Path
from tasks.execution.supervisor import only_supervisor, run_supervised
with only_supervisor(Path("stage.lock"), wait_s=60):
    Path("held").touch()
    {{}}
"""
SUPERVISES = f"""run_supervised([sys.executable, "-c", {SLEEPS!r}], lock=Path("stage.lock").resolve(), cwd=Path("."), log=Path("log"),
        progress=Path("progress"), timeout_s=600, on_event=print)"""


class Supervised:
    """A folder in which commands run under supervision."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock, self.log, self.progress = folder / "stage.lock", folder / "logs/stage.log", folder / "progress.jsonl"
        self.events: list[ProgressEvent] = []
        self.started: list[subprocess.Popen[bytes]] = []

    def run(self, code: str, timeout_s: float = 60.0) -> int | None:
        """Run a piece of Python; its exit status."""
        return run_supervised(
            [sys.executable, "-c", code],
            lock=self.lock,
            cwd=self.folder,
            log=self.log,
            progress=self.progress,
            timeout_s=timeout_s,
            on_event=self.events.append,
        )

    def marked(self) -> list[psutil.Process]:
        """What runs under this folder's mark."""
        return supervisor._marked(self.lock)

    def start(self, code: str, *, marked: bool = False) -> subprocess.Popen[bytes]:
        """A process without a supervisor; with the mark it is what one leaves that is killed."""
        environment = {**os.environ, **({MARK: str(self.lock)} if marked else {})}
        self.started.append(subprocess.Popen([sys.executable, "-c", code], cwd=self.folder, env=environment, start_new_session=True))
        return self.started[-1]

    def start_holder(self, does: str) -> subprocess.Popen[bytes]:
        """A process that holds the lock, and does something."""
        process = self.start(HOLDS.format(does))
        wait_until((self.folder / "held").exists, "the hold")
        return process

    def end(self) -> None:
        """Leave nothing of it."""
        for process in self.started:
            process.kill()
            process.wait()
        end_marked(self.lock)


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    (tmp_path / "stage").mkdir()
    one = Supervised(tmp_path / "stage")
    yield one
    one.end()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Supervised]:
    (tmp_path / "other").mkdir()
    one = Supervised(tmp_path / "other")
    yield one
    one.end()


@pytest.mark.parametrize(
    ("code", "status"),
    [("", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9), ("import os; os.kill(os.getpid(), 15)", -15)],
)
def test_the_status_of_a_process_is_returned(supervised: Supervised, code: str, status: int) -> None:
    assert supervised.run(code) == status


def test_all_that_a_process_prints_is_in_its_log(supervised: Supervised) -> None:
    supervised.run("import sys; print('one'); print('two', file=sys.stderr)")
    supervised.run("import subprocess; subprocess.run(['echo', 'three'])")
    assert supervised.log.read_text().split() == ["one", "two", "three"]


def test_a_process_is_given_its_mark_and_its_progress_file_and_has_no_input(supervised: Supervised) -> None:
    supervised.run(
        f"import os, sys; print(os.environ[{MARK!r}], os.environ[{ENVIRONMENT_VARIABLE!r}], repr(sys.stdin.read()), os.getcwd())"
    )
    assert supervised.log.read_text().split() == [str(supervised.lock), str(supervised.progress), "''", str(supervised.folder)]


def test_a_process_that_runs_out_of_time_is_ended(supervised: Supervised) -> None:
    assert supervised.run(SLEEPS, timeout_s=0.3) is None
    assert not supervised.marked()


def test_a_process_that_will_not_end_is_killed(supervised: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_GRACE_S", 0.5)
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEPS}"
    assert supervised.run(deaf, timeout_s=1.0) is None
    assert supervised.log.read_text() == "deaf\n"
    assert not supervised.marked()


@pytest.mark.parametrize("code", [STARTS_ONE_IN_A_SESSION_OF_ITS_OWN, STARTS_ONE_IN_A_SESSION_OF_ITS_OWN.replace("_exit(0)", "_exit(3)")])
def test_what_a_process_leaves_in_another_session_is_ended_with_it(supervised: Supervised, code: str) -> None:
    assert supervised.run(code) in (0, 3)
    left = int((supervised.folder / "child").read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_processes_of_other_stages_are_left_alone(supervised: Supervised, other: Supervised) -> None:
    bystander = other.start(SLEEPS, marked=True)
    wait_until(other.marked, "the start of the bystander")
    supervised.run(SLEEPS, timeout_s=0.2)
    end_marked(supervised.lock)
    assert bystander.poll() is None


def test_events_arrive_whole_and_in_order_and_those_of_an_earlier_run_do_not(supervised: Supervised) -> None:
    old, new, last = (ProgressEvent("work", done, 3, "loss 1.0", 0.5) for done in (1, 2, 3))
    supervised.progress.write_text(json.dumps(asdict(old)) + "\n")
    cut = json.dumps(asdict(new))
    supervised.run(
        f"""
import time
with open({str(supervised.progress)!r}, "a") as file:
    for piece in ({cut[:20]!r}, {cut[20:] + chr(10)!r}, {json.dumps(asdict(last)) + chr(10)!r}, '{{"task": "cut o'):
        file.write(piece); file.flush(); time.sleep(0.25)
"""
    )
    assert supervised.events == [new, last]


def test_what_progress_writes_is_what_the_supervisor_tells(supervised: Supervised) -> None:
    supervised.run(f"{FINDS_OURS}\nfrom ascl_core.progress import Progress\nlist(Progress().track('abc', 'letters'))")
    assert [(event.task, event.done, event.total) for event in supervised.events] == [("letters", 1, 3), ("letters", 3, 3)]


def test_an_error_in_who_listens_ends_the_process(supervised: Supervised) -> None:
    def fails(_: ProgressEvent) -> None:
        raise ZeroDivisionError

    line = json.dumps(asdict(ProgressEvent("work", 1, 2)))
    with pytest.raises(ZeroDivisionError):
        run_supervised(
            [sys.executable, "-c", f"open('progress.jsonl', 'a').write({line + chr(10)!r}); {SLEEPS}"],
            lock=supervised.lock,
            cwd=supervised.folder,
            log=supervised.log,
            progress=supervised.progress,
            timeout_s=60,
            on_event=fails,
        )
    assert not supervised.marked()


def test_an_interruption_ends_what_is_supervised_in_its_thread_alone(supervised: Supervised, other: Supervised) -> None:
    stop = threading.Event()
    caught: list[BaseException] = []

    def work() -> None:
        interruption.set(stop)
        try:
            supervised.run(SLEEPS)
        except StageError as error:
            caught.append(error)

    statuses: list[int | None] = []
    gate = other.folder / "gate"
    waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    threads = [
        threading.Thread(target=copy_context().run, args=(work,)),
        threading.Thread(target=lambda: statuses.append(other.run(waits))),
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: supervised.marked() and other.marked(), "the start of both")
    stop.set()
    threads[0].join(30)
    assert "interrupted" in str(caught[0])
    assert not supervised.marked()
    assert other.marked(), "the other thread's work goes on"
    gate.touch()
    threads[1].join(30)
    assert statuses == [0]


def test_a_second_supervisor_waits_and_says_so_once(supervised: Supervised) -> None:
    first = supervised.start_holder("while not Path('gate').exists(): time.sleep(0.02)")
    was_running: list[bool] = []

    def tell() -> None:
        was_running.append(first.poll() is None)
        threading.Timer(0.5, (supervised.folder / "gate").touch).start()

    with only_supervisor(supervised.lock, wait_s=60, on_wait=tell):
        assert first.wait(10) == 0, "the first had it until its end"
    assert was_running == [True]


def test_one_that_waits_for_too_long_gives_up_and_names_the_lock(supervised: Supervised) -> None:
    first = supervised.start_holder("time.sleep(600)")
    with (
        pytest.raises(StageError, match=r"stage\.lock: another run has held this stage for too long"),
        only_supervisor(supervised.lock, wait_s=0.2),
    ):
        pass
    first.kill()
    with only_supervisor(supervised.lock, wait_s=0.2):
        pass


def test_one_that_is_interrupted_waits_no_longer(supervised: Supervised) -> None:
    first = supervised.start_holder("time.sleep(600)")
    stop = threading.Event()

    def wait() -> None:
        interruption.set(stop)
        with only_supervisor(supervised.lock, wait_s=600, on_wait=stop.set):
            pass

    with pytest.raises(StageError, match="interrupted"):
        copy_context().run(wait)
    assert first.poll() is None


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_ends_with_its_supervisor_however_that_ends(supervised: Supervised, by: signal.Signals) -> None:
    first = supervised.start_holder(SUPERVISES)
    wait_until(supervised.marked, "the process")
    (process,) = supervised.marked()
    first.send_signal(by)
    first.wait()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "its end", 10)
    assert not supervised.marked()
    with only_supervisor(supervised.lock, wait_s=0.2):
        pass


def test_whoever_takes_the_lock_first_ends_what_a_killed_supervisor_left(supervised: Supervised) -> None:
    """Even in a session of its own, where neither a process group's signal nor its parent's death reaches it."""
    left = supervised.start(SLEEPS, marked=True)
    wait_until(supervised.marked, "its start")
    with only_supervisor(supervised.lock, wait_s=10):
        assert not supervised.marked()
    assert not psutil.pid_exists(left.pid)


def test_a_child_whose_parent_died_before_it_could_ask_does_not_start(supervised: Supervised) -> None:
    """The kernel tells only of deaths to come: a child that finds another parent than it was promised goes at once."""
    nobody = 2**22 + 1
    with subprocess.Popen([sys.executable, "-c", SLEEPS], preexec_fn=supervisor.end_with_parent(nobody, signal.SIGKILL)) as orphan:
        assert orphan.wait(10) == 1
