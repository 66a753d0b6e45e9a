"""`ascl lineage show`: what an artifact was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from flows.cli.console import out, repository_root
from flows.cli.lineage.arguments import Thing
from flows.cli.lineage.page import say_written
from tasks.evidence.acceptance import acceptances

if TYPE_CHECKING:
    from tasks.evidence.graph import Edge, Graph, Node

_SHORT = 12


def show(
    thing: Thing = "data/models/ifpo",
    page: Annotated[bool, typer.Option("--page", help="Write it as a page for a browser, too, without the rows.")] = False,
) -> None:
    """Show what an artifact was made from, down to what people wrote.

    Examples:  ascl lineage show data/models/ifpo   |   ascl lineage show release/1 --page   |   ascl lineage show 3f9ab2
    """
    from tasks.lineage.find import find

    root = repository_root()
    found = find(root, thing)
    out.print(f"{found.path} in {found.place.name}, sha256 {found.sha256}", soft_wrap=True, markup=False)
    tree = Tree(_of(found.node))
    _grow(tree, found.graph, found.node, {found.node.stage.name})
    out.print(tree)
    if page:
        from tasks.lineage.page import write_page

        say_written(write_page(root, thing, rows=False))


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
            _grow(branch.add(_of(edge.producer)), graph, edge.producer, shown)


def _edge(edge: Edge) -> str:
    broken = "" if edge.holds or edge.producer is None else "  [red]is not what was written there[/]"
    return f"{escape(edge.path)} [dim]{edge.sha256[:_SHORT]}[/]{broken}"


def _of(node: Node) -> str:
    record = node.record
    code = record["git"]["revision"] or "no commit"
    dirty = " + changes" if record["git"]["dirty"] else ""
    vouched = "".join(f"\n[yellow]{escape(line)}[/]" for line in acceptances(record))
    return (
        f"[bold]{node.stage.name}[/] [dim]{record['ended'][:19].replace('T', ' ')}, {record['seconds']:g} s, code {code[:_SHORT]}{dirty}[/]"
        f"{vouched}"
    )
