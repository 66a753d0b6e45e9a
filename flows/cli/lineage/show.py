"""`ascl lineage show`: what an artifact was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from flows.cli.console import out, repository_root
from flows.cli.lineage.arguments import SHORT, Thing, named, print_line
from flows.cli.lineage.page import print_written

if TYPE_CHECKING:
    from tasks.evidence.graph import Edge, Graph, Node


def show(
    thing: Thing = "data/models/ifpo",
    page: Annotated[bool, typer.Option("--page", help="Also write it as a page for a browser, without the rows.")] = False,
) -> None:
    """Show what an artifact was made from, down to what people wrote.

    Examples:  ascl lineage show data/models/ifpo   |   ascl lineage show release/1 --page   |   ascl lineage show 3f9ab2
    """
    from tasks.lineage.find import find

    root = repository_root()
    found = find(root, thing)
    print_line(named(found))
    tree = Tree(_describe(found.node))
    _grow(tree, found.graph, found.node, {found.node.stage.name})
    out.print(tree)
    if page:
        from tasks.lineage.page import write_page

        print_written(write_page(root, thing, rows=False))


def _grow(tree: Tree, graph: Graph, node: Node, shown: set[str]) -> None:
    for edge in graph.edges(node):
        branch = tree.add(_edge(edge))
        if edge.producer is None:
            continue
        name = edge.producer.stage.name
        if name in shown:
            branch.add(f"[dim]by {name}, see there[/]")
        else:
            shown.add(name)
            _grow(branch.add(_describe(edge.producer)), graph, edge.producer, shown)


def _edge(edge: Edge) -> str:
    broken = "" if edge.holds else "  [red]other bytes were read than written[/]"
    return f"{escape(edge.path)} [dim]{edge.sha256[:SHORT]}[/]{broken}"


def _describe(node: Node) -> str:
    record = node.record
    ended = record.ended[:19].replace("T", " ")
    return f"[bold]{node.stage.name}[/] [dim]{ended}, {record.seconds:g} s, code {record.git.label(SHORT)}[/]"
