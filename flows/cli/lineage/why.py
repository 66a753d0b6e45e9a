"""`ascl lineage why`: why an artifact is as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.markup import escape

from flows.cli.console import out, repository_root
from flows.cli.lineage.arguments import Thing
from tasks.evidence.acceptance import acceptances

if TYPE_CHECKING:
    from tasks.lineage.why import Why

_SHORT = 12
_ACTIONS = {
    "reuse": "[green]up to date[/]",
    "re-record": "[green]up to date[/]: its code is only written differently, which ascl run records",
    "follow": "[yellow]may be stale[/]: it runs again if what it follows comes out otherwise",
    "restore": "[yellow]its outputs are missing or changed[/]: ascl run brings the recorded ones back",
    "run": "[yellow]stale[/]: ascl run would make it anew",
    "stale": "[yellow]not what its commit gives[/]",
}


def why(thing: Thing = "data/models/ifpo") -> None:
    """Say whether an artifact is stale and why, what it was made from, and which change made it be made anew.

    Examples:  ascl lineage why data/models/ifpo   |   ascl lineage why release/1   |   ascl lineage why 20261125-retrain-0a1b2c3d
    """
    from tasks.lineage.why import why as ask

    _print(ask(repository_root(), thing))


def _print(found: Why) -> None:
    _line(f"{found.found.path} in {found.found.place.name}, sha256 {found.found.sha256}")
    out.print(f"\n{_ACTIONS[found.action]}", soft_wrap=True)
    _lines(found.reasons)
    _lines(acceptances(found.found.node.record))
    for stage, reasons in found.upstream:
        _line(f"  behind it, {stage}: {'; '.join(reasons)}")
    _print_origin(found)
    _print_previous(found)


def _print_origin(found: Why) -> None:
    record = found.found.node.record
    out.print("\n[bold]Made from[/]")
    for edge in found.inputs:
        maker = f"by {edge.producer.stage.name}" if edge.producer else "written by people"
        _line(f"  {edge.path} {edge.sha256[:_SHORT]} {maker}")
    _line(f"  code {found.code}")
    _line(f"  profile {found.profile}{', but:' if found.settings else ''}")
    _lines(f"  {one.key}: {one.value} (profile: {one.profile})" for one in found.settings)
    if found.rules:
        _line(f"  rules {found.rules}")
    if found.seeds:
        _line(f"  seeds {', '.join(f'{key} = {value}' for key, value in found.seeds.items())}")
    _line(f"  by stage {found.found.node.stage.name}, ended {record['ended']}, {record['seconds']:g} s")
    _line(f"  Prefect run {found.prefect_run or 'none: it was run by hand'}")
    if found.run:
        _line(f"  recorded in run {found.run}")


def _print_previous(found: Why) -> None:
    out.print("\n[bold]Why it was made[/]")
    _lines(found.run_reasons)
    if found.previous is None:
        _line("  no earlier record of the stage is known in a run or a release")
    else:
        _line(f"  since the one in {found.previous.place} of {found.previous.ended}:")
        _lines(f"  {change}" for change in found.previous.changes)
        out.print(f"  [dim]ascl lineage diff {escape(found.previous.place)} names what is behind that[/]", soft_wrap=True)
    if found.also_in:
        _line(f"  the same record is in {', '.join(found.also_in)}")


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        _line(f"  {line}")


def _line(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)
