"""The records behind an artifact as a Mermaid flowchart, for pages in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.evidence.graph import Graph, Node

_SHORT = 12


def flowchart(graph: Graph, node: Node) -> str:
    """A box for each record with the time it took, and an arrow for each artifact that one read and another wrote; broken ones dashed."""
    behind = graph.behind(node)
    boxes = [f'  {one.stage.name}["{one.stage.name}<br/>{one.record["seconds"]:g} s"]' for one in behind]
    sources = [f'  source{number}[/"{_inert(path)}"/]' for number, path in enumerate(graph.sources(node))]
    return "\n".join(["flowchart TD", *sources, *boxes, *_arrows(graph, node, behind)]) + "\n"


def _arrows(graph: Graph, node: Node, behind: list[Node]) -> Iterator[str]:
    """Several artifacts between the same two are one arrow."""
    numbers = {path: number for number, path in enumerate(graph.sources(node))}
    for one in behind:
        labels: dict[tuple[str, str], list[str]] = {}
        for edge in graph.edges(one):
            if edge.producer is None:
                yield f"  source{numbers[edge.path]} --> {one.stage.name}"
            else:
                arrow = "-->" if edge.holds else "-.->"
                told = f"{_inert(edge.path.rpartition('/')[2])} {edge.sha256[:_SHORT]}"
                labels.setdefault((edge.producer.stage.name, arrow), []).append(told)
        yield from (f'  {maker} {arrow}|"{"<br/>".join(told)}"| {one.stage.name}' for (maker, arrow), told in labels.items())


def _inert(path: str) -> str:
    """A path that ends no label."""
    return path.replace('"', "#quot;").replace("`", "'")
