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

from ascl_core.text import some
from tasks.evidence.log import append_missing
from tasks.evidence.record import load_record
from tasks.execution.checks import read_by_checks, require_checks
from tasks.execution.runner import is_published, run_stage
from tasks.execution.supervisor import OnEvent
from tasks.registry.stages import Stage
from tasks.repository import outputs
from tasks.repository.staleness import CURRENT, REWRITTEN, staleness

Action = Literal["reused", "re-recorded", "restored", "ran"]


@dataclass(frozen=True)
class Outcome:
    """What was done about one stage."""

    stage: str
    action: Action
    reasons: tuple[str, ...]
    seconds: float
    metrics: dict[str, Any] = field(default_factory=dict)


def bring_up_to_date(
    stage: Stage,
    *,
    root: Path | None = None,
    force: bool = False,
    on_event: OnEvent = lambda _: None,
    run_id: str | None = None,
    slot: Callable[[], AbstractContextManager[None]] = nullcontext,
    checks_ran: bool = False,
    was_current: bool = False,
    lost: tuple[str, ...] = (),
) -> Outcome:
    """Bring the stage's outputs up to date with its current data, code and parameters, and record them in `dvc.lock`.

    `slot` is held only while the stage runs. Missing inputs, as in a new clone, are fetched from the cache or the remote as recorded.
    A simultaneous call for the same stage waits, and then reuses. Unless the caller has just run them (`checks_ran`), the checks upstream
    must have passed on what is here now. DVC is not asked about a stage that was up to date when the caller asked (`was_current`), if its
    record says that it still is; `lost` says what was missing where the caller has just restored it. Raises what `require_checks` and
    `run_stage` raise.
    """
    root = root or Path.cwd()
    started = time.monotonic()
    read = {artifact.path for artifact in (*stage.input_artifacts(), *(() if checks_ran else read_by_checks(stage)))}
    outputs.fetch(root, [path for path in read if not (root / path).exists()])
    if not checks_ran:
        require_checks(root, stage)

    def outcome(action: Action, *reasons: str) -> Outcome:
        return Outcome(stage.name, action, reasons, time.monotonic() - started, load_record(root, stage).metrics)

    if force:
        reasons: tuple[str, ...] = ("asked for",)
        with slot():
            finished = run_stage(root, stage, on_event=on_event, run_id=run_id)
    else:
        stale = CURRENT if was_current and is_published(root, stage) else staleness(root, [stage])[stage.name]
        if not stale and stale.rewritten:
            outputs.record(root, stage)
            return outcome("re-recorded", REWRITTEN.format(some(stale.rewritten, 1, noun="file")))
        if not stale and lost:
            append_missing(root)
            return outcome("restored", *lost)
        if not stale:
            return outcome("reused", f"nothing that it depends on changed since {load_record(root, stage).ended_at} UTC")
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
    return outcome("ran", *reasons)
