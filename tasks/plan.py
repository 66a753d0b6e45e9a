"""What a run would do, and why, without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks import versioning
from tasks.record import read_record
from tasks.stages import STAGES, Artifact, Stage

Action = Literal["run", "restore", "reuse", "follow"]


@dataclass(frozen=True)
class Step:
    """What a run would do with one stage."""

    stage: str
    action: Action
    """`follow`: it runs if what it depends on comes out otherwise than before, and is reused if not."""
    reasons: tuple[str, ...]
    seconds: float | None
    """How long it took the last time; None where it never ran here, and 0 where it would not run."""


def make_plan(root: Path, force: frozenset[str] = frozenset(), parameters: Mapping[str, Any] | None = None) -> list[Step]:
    """A step for each stage, in an order in which they can run; `parameters` count in place of `params.yaml`."""
    stale = versioning.staleness(root, list(STAGES), parameters)
    makers = {artifact: stage.name for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)}
    steps: dict[str, Step] = {}
    for stage in STAGES:
        upstream = _unsure(stage, makers, steps)
        staleness = stale[stage.name]
        forced = ("asked for by --force",) if stage.name in force else ()
        reasons = forced or tuple(reason for reason in staleness.reasons if not _explained(reason, upstream, makers))
        if forced or (reasons and not staleness.restorable):
            action: Action = "run"
        elif upstream:
            action, reasons = "follow", (f"follows {', '.join(dict.fromkeys(upstream))}", *reasons)
        else:
            action = "restore" if reasons else "reuse"
        took = 0.0 if action in ("reuse", "restore") else _last_seconds(root, stage)
        steps[stage.name] = Step(stage.name, action, reasons or ("nothing that it depends on changed",), took)
    return list(steps.values())


def _unsure(stage: Stage, makers: dict[Artifact, str], steps: dict[str, Step]) -> list[str]:
    """The stages that it depends on and whose outputs may change."""
    needed = [makers[artifact] for artifact in stage.input_artifacts() if artifact in makers]
    return [name for name in dict.fromkeys(needed) if steps[name].action in ("run", "follow")]


def _explained(reason: str, upstream: list[str], makers: dict[Artifact, str]) -> bool:
    """Whether the reason is only that an input is not there yet or will be made anew."""
    return any(reason.startswith(f"{artifact.path} ") and name in upstream for artifact, name in makers.items())


def _last_seconds(root: Path, stage: Stage) -> float | None:
    record = read_record(root / stage.record.path)
    return None if record is None else float(record["seconds"])
