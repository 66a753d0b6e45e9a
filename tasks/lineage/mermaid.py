"""The records upstream of an artifact as a Mermaid flowchart, for pages in Markdown."""

from __future__ import annotations

from collections import defaultdict

from tasks.evidence.graph import Graph, Node

_SHORT = 12


def flowchart(graph: Graph, node: Node) -> str:
    """Draw a box for each record with its duration, and an arrow from writer to reader; dashed if other bytes were read than written."""
    upstream = graph.upstream(node)
    sources = {path: f"source{number}" for number, path in enumerate(graph.sources(node))}
    lines = [f'  {name}[/"{_escaped(path)}"/]' for path, name in sources.items()]
    lines += [f'  {one.stage.name}["{one.stage.name}<br/>{one.record.seconds:g} s"]' for one in upstream]
    for one in upstream:
        labels: dict[tuple[str, str], list[str]] = defaultdict(list)
        for edge in graph.edges(one):
            if edge.producer is None:
                lines.append(f"  {sources[edge.path]} --> {one.stage.name}")
            else:
                label = f"{_escaped(edge.path.rpartition('/')[2])} {edge.sha256[:_SHORT]}"
                labels[edge.producer.stage.name, "-->" if edge.holds else "-.->"].append(label)
        lines += [f'  {writer} {arrow}|"{"<br/>".join(read)}"| {one.stage.name}' for (writer, arrow), read in labels.items()]
    return "\n".join(["flowchart TD", *lines]) + "\n"


def _escaped(path: str) -> str:
    return path.replace('"', "#quot;").replace("`", "'")
