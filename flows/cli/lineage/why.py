"""`ascl lineage why`: why an artifact is as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.markup import escape

from flows.cli.console import out, repository_root
from flows.cli.lineage.arguments import SHORT, Thing, named, print_line

if TYPE_CHECKING:
    from tasks.lineage.why import Why

_ACTIONS = {
    "reuse": "[green]up to date[/]",
    "follow": "[yellow]may be stale[/]: it runs again if the outputs of a stage upstream change",
    "restore": "[yellow]its outputs are missing or changed[/]: ascl run restores the recorded ones",
    "run": "[yellow]stale[/]: ascl run would run it",
    "stale": "[yellow]stale[/]: the files of its commit differ from those in its record",
}


def why(thing: Thing = "data/models/ifpo") -> None:
    """Show whether an artifact is stale and why, what it was made from, and which change caused it to be made again.

    Examples:  ascl lineage why data/models/ifpo   |   ascl lineage why release/1   |   ascl lineage why 20261125-retrain-0a1b2c3d
    """
    from tasks.lineage.why import why as ask

    _print(ask(repository_root(), thing))


def _print(found: Why) -> None:
    print_line(named(found.found))
    out.print(f"\n{_ACTIONS[found.action]}", soft_wrap=True)
    _lines(found.reasons)
    for stage, reasons in found.upstream:
        print_line(f"  upstream, {stage}: {'; '.join(reasons)}")
    _print_origin(found)
    _print_previous(found)


def _print_origin(found: Why) -> None:
    node = found.found.node
    record = node.record
    out.print("\n[bold]Made from[/]")
    for edge in found.found.graph.edges(node):
        maker = f"by {edge.producer.stage.name}" if edge.producer else "written by people"
        print_line(f"  {edge.path} {edge.sha256[:SHORT]} {maker}")
    print_line(f"  code {record.git.label()}{f' {record.git.diff[:SHORT]}' if record.git.diff else ''}")
    print_line(f"  profile {found.profile}{', but:' if found.settings else ''}")
    _lines(f"  {one.key}: {one.value} (profile: {one.profile})" for one in found.settings)
    if found.rules:
        print_line(f"  rules {found.rules}")
    if found.seeds:
        print_line(f"  seeds {', '.join(f'{key} = {value}' for key, value in found.seeds.items())}")
    print_line(f"  by stage {node.stage.name}, ended {record.ended}, {record.seconds:g} s")
    print_line(f"  Prefect run {record.prefect_run or 'none: it was run by hand'}")
    if found.run:
        print_line(f"  recorded in run {found.run}")


def _print_previous(found: Why) -> None:
    out.print("\n[bold]Why it was made[/]")
    _lines(found.run_reasons)
    if found.previous is None:
        print_line("  no earlier record of the stage is known in a run or a release")
    else:
        print_line(f"  since the one in {found.previous.snapshot} of {found.previous.ended}:")
        _lines(f"  {change}" for change in found.previous.changes)
        out.print(f"  [dim]ascl lineage diff {escape(found.previous.snapshot)} shows the causes[/]", soft_wrap=True)
    if found.also_in:
        print_line(f"  the same record is in {', '.join(found.also_in)}")


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        print_line(f"  {line}")
