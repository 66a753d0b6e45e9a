"""`ascl lineage show`: what an artifact was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.tree import Tree

from flows.cli.console import out, repository_root
from flows.cli.lineage.arguments import Thing

if TYPE_CHECKING:
    from tasks.lineage.graph import Edge, Graph, Node

_SHORT = 12


def show(thing: Thing = "data/models/ifpo") -> None:
    """Show what an artifact was made from, down to what people wrote.

    Examples:  ascl lineage show data/models/ifpo   |   ascl lineage show release/1   |   ascl lineage show 3f9ab2
    """
    from tasks.lineage.find import find

    found = find(repository_root(), thing)
    out.print(f"{found.path} in {found.place.name}, sha256 {found.sha256}", soft_wrap=True, markup=False)
    tree = Tree(_of(found.node))
    _grow(tree, found.graph, found.node, {found.node.stage.name})
    out.print(tree)


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
    return (
        f"[bold]{node.stage.name}[/] [dim]{record['ended'][:19].replace('T', ' ')}, {record['seconds']:g} s, code {code[:_SHORT]}{dirty}[/]"
    )
