"""Bring a stage's outputs up to date: reuse or restore what is recorded, or run the stage.

Only this module decides whether a stage runs, by what DVC has recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tasks.evidence.log import append_missing
from tasks.evidence.record import load_record
from tasks.execution.runner import is_published, run_stage
from tasks.execution.supervisor import OnEvent
from tasks.registry.stages import Stage
from tasks.repository import outputs
from tasks.repository.staleness import REWRITTEN, shown, staleness

Action = Literal["reused", "re-recorded", "restored", "ran"]


@dataclass(frozen=True)
class Outcome:
    """What was done about one stage."""

    stage: str
    action: Action
    reasons: tuple[str, ...]
    seconds: float
    metrics: dict[str, Any] = field(default_factory=dict)
    log_path: str | None = None
    """The log of the process that ran it, relative to the root of the repository; None if nothing ran."""


def bring_up_to_date(
    stage: Stage,
    *,
    root: Path | None = None,
    force: bool = False,
    on_event: OnEvent = lambda _: None,
    run_id: str | None = None,
    slot: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Outcome:
    """Bring the stage's outputs up to date with its current data, code and parameters, and record them in `dvc.lock`.

    `slot` is held only while the stage runs. Missing inputs, as in a new clone, are fetched from the cache or the remote as recorded.
    A simultaneous call for the same stage waits, and then reuses. Raises what `run_stage` raises.
    """
    root = root or Path.cwd()
    started = time.monotonic()
    outputs.fetch(root, [artifact.path for artifact in stage.input_artifacts() if not (root / artifact.path).exists()])

    def outcome(action: Action, *reasons: str, log: Path | None = None) -> Outcome:
        metrics = load_record(root, stage).metrics
        where = str(log.relative_to(root)) if log else None
        return Outcome(stage.name, action, reasons, time.monotonic() - started, metrics, where)

    if force:
        reasons: tuple[str, ...] = ("asked for by --force",)
        with slot():
            finished = run_stage(root, stage, on_event=on_event, run_id=run_id)
    else:
        stale = staleness(root, [stage])[stage.name]
        if not stale and stale.rewritten:
            outputs.record(root, stage)
            return outcome("re-recorded", REWRITTEN.format(shown(stale.rewritten)))
        if not stale:
            return outcome("reused", f"nothing that it depends on changed since {_when(root, stage)}")
        reasons = stale.reasons
        if stale.restorable and not is_published(root, stage) and outputs.restore(root, stage):
            if stale.rewritten:
                outputs.record(root, stage)
            append_missing(root)
            return outcome("restored", *reasons)
        with slot():
            finished = run_stage(root, stage, on_event=on_event, unless=lambda: is_published(root, stage), run_id=run_id)
    outputs.record(root, stage)
    if finished is None:
        append_missing(root)  # an earlier process may have been killed before it did
        return outcome("reused", "its outputs are up to date; DVC had no record or no copy of them, and has them now")
    return outcome("ran", *reasons, log=finished.log)


def _when(root: Path, stage: Stage) -> str:
    ended = load_record(root, stage).ended
    return ended.replace("T", " ").removesuffix("+00:00") + (" UTC" if ended.endswith("+00:00") else "")
