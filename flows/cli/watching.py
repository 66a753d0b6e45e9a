"""What a person sees while stages run: a bar with an ETA for each running one, a line for each finished one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.cli.console import out
from flows.cli.tables import COLOURS

if TYPE_CHECKING:
    from ascl_core.progress import ProgressEvent
    from tasks.execution.up_to_date import Outcome
    from tasks.registry.stages import Stage

_REASON_CHARS = 200


class Watching:
    """A `Listener` for the terminal; without a terminal, such as in a log file, only the lines are printed."""

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

    def started(self, stage: Stage) -> None:
        """Show a bar for the stage."""
        with self._lock:
            self._ids[stage.name] = self._bars.add_task("checking", total=None, stage=stage.name, note="")

    def progressed(self, stage: Stage, event: ProgressEvent) -> None:
        """Move the stage's bar."""
        with self._lock:
            self._bars.update(self._ids[stage.name], description=event.task, completed=event.done, total=event.total, note=event.note)

    def removed(self, stage: Stage) -> None:
        """Remove the stage's bar."""
        with self._lock:
            self._bars.remove_task(self._ids.pop(stage.name))

    def finished(self, stage: Stage, outcome: Outcome | None) -> None:
        """Replace the stage's bar by a line; without an outcome the stage failed."""
        self.removed(stage)
        if outcome is None:
            out.print(f"[red]failed  [/] {stage.name}")
            return
        why = "; ".join(outcome.reasons)
        short = why if len(why) <= _REASON_CHARS else why[:_REASON_CHARS] + " …"
        colour = COLOURS[outcome.action]
        out.print(f"[{colour}]{outcome.action:<11}[/] {stage.name:<34} {outcome.seconds:7.1f} s  [dim]{escape(short)}[/]")
        if note := outcome.metrics.get("note"):
            out.print(f"  [yellow]note:[/] {escape(str(note))}")

    def warned(self, problem: str) -> None:
        """Print a problem that fails nothing."""
        out.print(f"[yellow]warning:[/] {escape(problem)}")

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[Callable[[ProgressEvent], None]]:
        """Show a bar for a stage that runs in the block; yields what moves it."""
        self.started(stage)
        try:
            yield partial(self.progressed, stage)
        finally:
            self.removed(stage)


@contextmanager
def watched(root: Path) -> Iterator[None]:
    """Start a local Prefect server unless one is given, and show the stages of the flow that runs in the block."""
    from tasks.execution.local_server import prefect_server

    with ExitStack() as stack:
        with out.status("starting a local Prefect server"):
            server = stack.enter_context(prefect_server(root))
            from tasks.execution.prefect_stage import listener
        out.print(f"Prefect: {server.removesuffix('/api')} while this runs")
        token = listener.set(stack.enter_context(Watching()))
        try:
            yield
        finally:
            listener.reset(token)
