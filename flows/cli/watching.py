"""What a person sees while stages run: a bar with an ETA for each running one, a line for each finished one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.cli.console import COLOURS, out

if TYPE_CHECKING:
    from ascl_core.progress import ProgressEvent
    from tasks.execution.materialise import Outcome
    from tasks.registry.stages import Stage

_REASON_CHARS = 200


class Watching:
    """A `Listener` for the terminal; where there is none, such as in a log file, only the lines are printed."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("[bold]{task.fields[stage]}"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=out,
            transient=True,
            disable=not out.is_terminal,
        )
        self._ids: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Watching:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """One plain line above the bars."""
        out.print(text, soft_wrap=True)

    def started(self, stage: Stage) -> None:
        """A stage is looked at."""
        with self._lock:
            self._ids[stage.name] = self._bars.add_task("checking", total=None, stage=stage.name, note="")

    def progressed(self, stage: Stage, event: ProgressEvent) -> None:
        """A stage says how far it is."""
        with self._lock:
            self._bars.update(self._ids[stage.name], description=event.task, completed=event.done, total=event.total, note=event.note)

    def removed(self, stage: Stage) -> None:
        """Nothing more will be said of a stage."""
        with self._lock:
            self._bars.remove_task(self._ids.pop(stage.name))

    def finished(self, stage: Stage, outcome: Outcome | None) -> None:
        """A stage is done, or failed where there is no outcome."""
        self.removed(stage)
        if outcome is None:
            out.print(f"[red]failed  [/] {stage.name}")
            return
        why = "; ".join(outcome.reasons)
        short = why if len(why) <= _REASON_CHARS else why[:_REASON_CHARS] + " …"
        colour = COLOURS[outcome.action]
        out.print(f"[{colour}]{outcome.action:<11}[/] {stage.name:<34} {outcome.seconds:7.1f} s  [dim]{escape(short)}[/]", soft_wrap=True)


@contextmanager
def watched(root: Path) -> Iterator[None]:
    """A Prefect server of this machine's own, unless one is given, and a person who watches the stages of the flow that runs inside."""
    from tasks.execution.local_server import prefect_server

    with out.status("starting a local Prefect server"), prefect_server(root) as server:
        from tasks.execution.prefect_stage import listener

        with Watching() as watching:
            watching.say(f"Prefect: {server.removesuffix('/api')} while this runs")
            token = listener.set(watching)
            try:
                yield
            finally:
                listener.reset(token)
