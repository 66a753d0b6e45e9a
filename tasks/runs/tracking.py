"""Report a run to an experiment tracker: curves, evaluations, the gate, and what identifies the run.

Everything is read from the outputs of the stages, after each stage: the trainers know no tracker, and every tracker gets the same. A thread
of its own reports: a tracker that is slow, unreachable or not installed leaves one warning, and the run goes on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, read_jsonl, read_yaml
from ascl_core.report.flat_files import gate_figures
from ascl_core.urls import redacted
from tasks.evidence.record import read_record
from tasks.execution.up_to_date import Outcome
from tasks.host.tracker import VARIABLE, chosen_tracker
from tasks.registry.parameters import flat
from tasks.registry.paths import PARAMETERS, TRACKING
from tasks.registry.stages import CANDIDATE, CORPUS, ArtifactKind, Stage, checkpoint_of
from tasks.repository.git import git
from tasks.repository.released import released_tag
from tasks.repository.worktrees import opened_run
from tasks.runs.trackers import OPEN, Opening, Tracker

_CLOSE_S = 60.0
"""How long the end of a run waits for the tracker."""
_PROBLEM_CHARS = 300
_NO_STEP = 0
"""The step of figures that belong to no step of training."""
Report = Callable[[Tracker], None]
Done = Callable[[Stage, Outcome], None]


@contextmanager
def tracked(root: Path, flow_run: str, warn: Callable[[str], None]) -> Iterator[Done]:
    """Yield a function to call after each stage that ended well in the working tree `root`; it does nothing if no tracker is chosen.

    `flow_run` is the id of Prefect's flow run. `ConfigError` if the tracker's name is not known. Whatever else happens to a tracker is
    given to `warn`, at the end of the block and in its thread.
    """
    name = chosen_tracker()
    if name is None:
        yield lambda stage, outcome: None
        return
    run, finished = _TrackedRun(root, name, flow_run), False
    try:
        yield run.add
        finished = True
    finally:
        run.close(finished=finished)
        for problem in run.problems:
            warn(f"{name}: {problem}")


class _TrackedRun:
    """Sends reports to a tracker in a thread of its own, from the first stage that was not up to date."""

    def __init__(self, root: Path, name: str, flow_run: str) -> None:
        self._root, self._name, self._flow_run = root, name, flow_run
        self._held: list[Report] = []
        self._queue: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._finished = False
        self.problems: list[str] = []
        """What was not reported, and why, in one line each."""

    def add(self, stage: Stage, outcome: Outcome) -> None:
        """Send what a stage reports; hold it back while every stage was up to date, as a run that does nothing is no run to compare."""
        try:
            reports = _reports(self._root, stage)
        except Exception as error:
            self._failed(f"the outputs of {stage.name} cannot be reported", error)
            return
        with self._lock:
            self._held += reports
            if self._thread is None and outcome.action in ("ran", "restored"):
                self._thread = threading.Thread(target=self._send_all, name="tracking", daemon=True)
                self._thread.start()
            if self._thread is not None:
                for report in self._held:
                    self._queue.put(report)
                self._held.clear()

    def close(self, *, finished: bool) -> None:
        """End the run in the tracker, and wait for that, but not for long."""
        if self._thread is None:
            return
        self._finished = finished
        self._queue.put(None)
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            self.problems.append(f"it did not take everything within {_CLOSE_S:.0f} s: the rest of this run is not tracked")

    def _send_all(self) -> None:
        try:
            tracker = OPEN[self._name](_opening(self._root, self._flow_run))
            tracker.set_tags(_facts(self._root, self._flow_run))
            while (report := self._queue.get()) is not None:
                report(tracker)
            tracker.close(finished=self._finished)
        except ImportError as error:
            self._failed(f"this run is not tracked (uv pip install {self._name}, or unset {VARIABLE})", error)
        except Exception as error:
            self._failed("the rest of this run is not tracked", error)

    def _failed(self, what: str, error: BaseException) -> None:
        problem = redacted(" ".join(str(error).split()))[:_PROBLEM_CHARS] or type(error).__name__
        self.problems.append(f"{what}: {problem}")


def _opening(root: Path, flow_run: str) -> Opening:
    parameters = flat(read_yaml(root / PARAMETERS) or {})
    repository = Path(git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")).parent
    return Opening(opened_run(root) or flow_run, parameters, repository / TRACKING)


def _facts(root: Path, flow_run: str) -> dict[str, str]:
    facts = {"run": opened_run(root) or flow_run, "flow_run": flow_run, "commit": git(root, "rev-parse", "HEAD")}
    return facts | {"released": released_tag(root) or "nothing"}


def _reports(root: Path, stage: Stage) -> list[Report]:
    """Return what to report of the stage's outputs, read now, before a later run replaces them."""
    made: list[Report] = []
    for artifact in stage.outputs.values():
        if read := _READERS.get(artifact.kind):
            made += read(stage.name, root / artifact.path)
    if CORPUS in stage.outputs.values():
        made.append(_set_tags({"rules": str(read_json(root / CORPUS.path)["digest"])}))
    record = read_record(root / stage.record.path)
    if stage == CANDIDATE and record is not None:
        made.append(_set_tags({"checkpoint_sha256": record.outputs[checkpoint_of(stage).path]}))
    return made


def _curves(stage: str, log: Path) -> Iterator[Report]:
    for line in read_jsonl(log):
        if "step" in line:
            yield _log_figures(stage, int(line["step"]), {key: value for key, value in line.items() if key != "step"})


def _evaluation(stage: str, metrics: Path) -> Iterator[Report]:
    headline = read_json(metrics).get("headline") or {}
    yield _log_figures(stage, _NO_STEP, {key: (estimate or {}).get("value") for key, estimate in headline.items()})


def _gate(stage: str, decision: Path) -> Iterator[Report]:
    decided = read_json(decision)
    yield _log_figures(stage, _NO_STEP, {key: float(value) for key, value in gate_figures(decided).items()})
    yield _set_tags({"gate": str(decided.get("summary", ""))})


_READERS: Mapping[ArtifactKind, Callable[[str, Path], Iterator[Report]]] = {
    ArtifactKind.LOG: _curves,
    ArtifactKind.METRICS: _evaluation,
    ArtifactKind.DECISION: _gate,
}


def _log_figures(stage: str, step: int, figures: Mapping[str, Any]) -> Report:
    numbers = {f"{stage}/{key}": float(value) for key, value in figures.items() if isinstance(value, int | float)}
    return lambda tracker: tracker.log(stage, step, numbers)


def _set_tags(facts: Mapping[str, str]) -> Report:
    return lambda tracker: tracker.set_tags(facts)
