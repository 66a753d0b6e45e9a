"""`ascl lineage show`, `page` and `why`: what an artifact was made from, and why it is as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from flows.cli.console import err, out, print_line, repository_root
from flows.cli.lineage.arguments import SHORT, Thing, describe
from tasks.evidence.acceptance import acceptances
from tasks.evidence.graph import Edge, Graph, Node
from tasks.lineage.find import find
from tasks.lineage.page import write_page
from tasks.lineage.why import Why
from tasks.lineage.why import why as explain
from tasks.registry.stages import CHECKPOINT

_ACTIONS = {
    "reuse": "[green]up to date[/]",
    "re-record": "[green]up to date[/]: its code is only written differently, which ascl run records",
    "follow": "[yellow]may be stale[/]: it runs again if a stage upstream of it gives other outputs",
    "restore": "[yellow]its outputs are missing or changed[/]: ascl run restores the recorded ones",
    "run": "[yellow]stale[/]: ascl run would make it again",
    "stale": "[yellow]not what its commit gives[/]",
}


def show(
    thing: Thing = CHECKPOINT,
    page: Annotated[bool, typer.Option("--page", help="Also write it as a page for a browser, without the rows.")] = False,
) -> None:
    """Show what an artifact was made from, down to the files that people wrote.

    Examples:  ascl lineage show data/models/ifpo   |   ascl lineage show release/1 --page   |   ascl lineage show 3f9ab2
    """
    root = repository_root()
    found = find(root, thing)
    print_line(describe(found))
    tree = Tree(_node(found.node))
    _grow(tree, found.graph, found.node, {found.node.stage.name})
    out.print(tree)
    if page:
        _write_page(root, thing, None, compare=None, rows=False)


def page(
    thing: Thing = CHECKPOINT,
    compare: Annotated[str | None, typer.Option("--compare", metavar="Y", help="Show it beside this one, with the differences.")] = None,
    file: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The file; under .ascl/lineage/pages by default.")] = None,
    rows: Annotated[bool, typer.Option("--rows/--no-rows", help="Whether the page has the rows, to search in.")] = True,
) -> None:
    """Write a page with the graph, the records, the rules and the rows of an artifact; it needs no server and no network.

    Examples:  ascl lineage page   |   ascl lineage page release/2 --compare release/1   |   ascl lineage page released --out lineage.html
    """
    file = file and file.absolute()
    _write_page(repository_root(), thing, file, compare=compare, rows=rows)


def why(thing: Thing = CHECKPOINT) -> None:
    """Say whether an artifact is stale and why, what it was made from, and which change caused it to be made again.

    Examples:  ascl lineage why data/models/ifpo   |   ascl lineage why release/1   |   ascl lineage why 20261125-retrain-0a1b2c3d
    """
    found = explain(repository_root(), thing)
    print_line(describe(found.found))
    out.print(f"\n{_ACTIONS[found.action]}")
    _print_indented(found.reasons)
    _print_indented(acceptances(found.found.node.record))
    _print_indented(f"upstream, {stage}: {'; '.join(reasons)}" for stage, reasons in found.upstream)
    _print_origin(found)
    _print_previous(found)


def _write_page(root: Path, thing: str, file: Path | None, *, compare: str | None, rows: bool) -> None:
    written = write_page(root, thing, file, compare=compare, rows=rows)
    print_line(written.path.resolve().as_uri())
    out.print(f"{written.bytes / 1e6:.1f} MB, {written.rows:,} rows")
    for line in written.left_out:
        err.print(f"rows not in it: {line}", style="yellow", markup=False)


def _grow(tree: Tree, graph: Graph, node: Node, shown: set[str]) -> None:
    for edge in graph.edges(node):
        branch = tree.add(_edge(edge))
        if edge.producer is None:
            continue
        name = edge.producer.stage.name
        if name in shown:
            branch.add(f"[dim]by {name}, shown above[/]")
        else:
            shown.add(name)
            _grow(branch.add(_node(edge.producer)), graph, edge.producer, shown)


def _edge(edge: Edge) -> str:
    broken = "" if edge.holds or edge.producer is None else "  [red]differs from what that stage wrote[/]"
    return f"{escape(edge.path)} [dim]{edge.sha256[:SHORT]}[/]{broken}"


def _node(node: Node) -> str:
    record = node.record
    ended, code = record.ended[:19].replace("T", " "), record.git.label(SHORT)
    vouched = "".join(f"\n[yellow]{escape(line)}[/]" for line in acceptances(record))
    return f"[bold]{node.stage.name}[/] [dim]{ended}, {record.seconds:g} s, code {code}[/]{vouched}"


def _print_origin(found: Why) -> None:
    record = found.found.node.record
    code = record.git.label() + (f" {record.git.diff[:SHORT]}" if record.git.diff else "")
    out.print("\n[bold]Made from[/]")
    for edge in found.found.graph.edges(found.found.node):
        print_line(f"  {edge.path} {edge.sha256[:SHORT]} {f'by {edge.producer.stage.name}' if edge.producer else 'written by people'}")
    _print_indented([f"code {code}", f"profile {found.profile}{', but:' if found.settings else ''}"])
    _print_indented(f"  {one.key}: {one.value} (profile: {one.profile})" for one in found.settings)
    if found.rules:
        print_line(f"  rules {found.rules}")
    if found.seeds:
        print_line(f"  seeds {', '.join(f'{key} = {value}' for key, value in found.seeds.items())}")
    print_line(f"  by stage {found.found.node.stage.name}, ended {record.ended}, {record.seconds:g} s")
    print_line(f"  Prefect run {record.prefect_run or 'none: it was run by hand'}")
    if found.run:
        print_line(f"  recorded in run {found.run}")


def _print_previous(found: Why) -> None:
    out.print("\n[bold]Why it was made[/]")
    _print_indented(found.run_reasons)
    if found.previous is None:
        print_line("  no run or release has an earlier record of the stage")
    else:
        print_line(f"  since the one in {found.previous.snapshot} of {found.previous.ended}:")
        _print_indented(f"  {change}" for change in found.previous.changes)
        out.print(f"  [dim]ascl lineage diff {escape(found.previous.snapshot)} names the causes[/]")
    if found.also_in:
        print_line(f"  the same record is in {', '.join(found.also_in)}")


def _print_indented(lines: Iterable[str]) -> None:
    for line in lines:
        print_line(f"  {line}")
