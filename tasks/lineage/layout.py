"""Coordinates for the boxes and lines of a graph, layer by layer from top to bottom, every line downwards (Sugiyama's method).

1. layers: a node is one below the lowest that it reads; one that reads nothing is right above its first reader;
2. a line that crosses layers gets a point in each, which all lines from the same node share;
3. order: each layer is sorted by the mean position of its neighbours, up and down in turn; the order with the fewest crossings is kept;
4. x: as near to the neighbours' median as the widths allow, by isotonic regression.

Why no library does this: docs/decisions/0007-our-own-graph-layout-and-statements.md
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import accumulate, combinations, pairwise
from statistics import mean, median

_SWEEPS = 12


@dataclass(frozen=True)
class Sizes:
    """In pixels."""

    width: float = 172.0
    """Of a box."""
    height: float = 58.0
    gap: float = 18.0
    """Between two boxes of a layer."""
    lane: float = -4.0
    """The width of a line that crosses a layer, in addition to the gap: lines are nearer to each other than boxes."""
    drop: float = 44.0
    """Between two layers."""
    margin: float = 12.0


@dataclass(frozen=True)
class Layout:
    """Boxes by their upper left corner, and the points of each line."""

    boxes: Mapping[str, tuple[float, float]]
    lines: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]
    """From the bottom of one box to the top of the other; two points for each layer between, where it is vertical."""
    width: float
    height: float


_Point = tuple[str, int]
"""A node in a layer: its box, or a line from it that crosses the layer."""
_Links = Mapping[_Point, Sequence[_Point]]
"""The points that are linked to each point, in the layers above and below."""


def lay_out(nodes: Sequence[str], edges: Sequence[tuple[str, str]], sizes: Sizes | None = None) -> Layout:
    """Return the layout of a graph without cycles; its edges go from a writer to a reader.

    >>> lay_out(["a", "b"], [("a", "b")]).boxes
    {'a': (12.0, 12.0), 'b': (12.0, 114.0)}
    """
    sizes = sizes or Sizes()
    layer = _layers(nodes, edges)
    pairs = sorted({pair for one, other in edges for pair in _cut(one, other, layer)})
    links: dict[_Point, list[_Point]] = defaultdict(list)
    for upper, lower in pairs:
        links[upper].append(lower)
        links[lower].append(upper)
    points = dict.fromkeys([*((name, layer[name]) for name in nodes), *(point for pair in pairs for point in pair)])
    widths = {point: sizes.width if layer[point[0]] == point[1] else sizes.lane for point in points}
    rows = [[point for point in points if point[1] == number] for number in sorted({number for _, number in points})]
    centres = _centres(_ordered(rows, links), links, widths, sizes.gap)
    left = min((x - widths[point] / 2 for point, x in centres.items()), default=0.0)
    right = max((x + widths[point] / 2 for point, x in centres.items()), default=0.0)

    def x(point: _Point) -> float:
        return centres[point] - left + sizes.margin

    def top(number: int) -> float:
        return sizes.margin + number * (sizes.height + sizes.drop)

    def line(one: str, other: str) -> Iterator[tuple[float, float]]:
        yield x((one, layer[one])), top(layer[one]) + sizes.height
        for number in range(layer[one] + 1, layer[other]):
            yield x((one, number)), top(number)
            yield x((one, number)), top(number) + sizes.height
        yield x((other, layer[other])), top(layer[other])

    boxes = {name: (x((name, layer[name])) - sizes.width / 2, top(layer[name])) for name in nodes}
    height = top(max(layer.values(), default=0)) + sizes.height + sizes.margin
    return Layout(boxes, {edge: tuple(line(*edge)) for edge in edges}, right - left + 2 * sizes.margin, height)


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    above: dict[str, set[str]] = {name: set() for name in nodes}
    for one, other in edges:
        above[other].add(one)
    found: dict[str, int] = {}
    for name in TopologicalSorter(above).static_order():
        found[name] = 1 + max((found[one] for one in above[name]), default=-1)
    for name in nodes:
        readers = [found[other] for one, other in edges if one == name]
        if not above[name] and readers:
            found[name] = min(readers) - 1
    return found


def _cut(one: str, other: str, layer: Mapping[str, int]) -> Iterator[tuple[_Point, _Point]]:
    """Cut a line at each layer that it crosses."""
    return pairwise([*((one, number) for number in range(layer[one], layer[other])), (other, layer[other])])


def _ordered(rows: list[list[_Point]], links: _Links) -> list[list[_Point]]:
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(_SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        rows = [list(row) for row in rows]
        for before, row in pairwise(rows[::step]):
            position = {point: float(number) for number, point in enumerate(before)}
            near = {point: [position[other] for other in links.get(point, ()) if other in position] for point in row}
            wished = {point: mean(near[point]) if near[point] else float(number) for number, point in enumerate(row)}
            row.sort(key=wished.__getitem__)
        if (crossings := _crossings(rows, links)) < fewest:
            best, fewest = rows, crossings
    return best


def _crossings(rows: Sequence[Sequence[_Point]], links: _Links) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        position = {point: number for number, point in enumerate(lower)}
        lines = [(number, position[other]) for number, point in enumerate(upper) for other in links.get(point, ()) if other in position]
        count += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(lines, 2))
    return count


def _centres(rows: list[list[_Point]], links: _Links, widths: Mapping[_Point, float], gap: float) -> dict[_Point, float]:
    found: dict[_Point, float] = {}
    for row in rows:
        found.update(_apart(row, [0.0] * len(row), widths, gap))
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wished = [median([found[other] for other in links.get(point, ())] or [found[point]]) for point in row]
            found.update(_apart(row, wished, widths, gap))
    return found


def _apart(row: list[_Point], wished: list[float], widths: Mapping[_Point, float], gap: float) -> dict[_Point, float]:
    """Return the positions nearest to the wished ones, by squares, at which no two points of the layer overlap."""
    from scipy.optimize import isotonic_regression

    least = list(accumulate(((widths[one] + widths[other]) / 2 + gap for one, other in pairwise(row)), initial=0.0))
    pooled = isotonic_regression([wish - position for wish, position in zip(wished, least, strict=True)]).x
    return {point: float(x) + position for point, x, position in zip(row, pooled, least, strict=True)}
