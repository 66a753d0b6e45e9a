"""Where the boxes and lines of a graph go: layer by layer from top to bottom, every line downwards (Sugiyama's method).

1. layers: a node is one below the lowest that it reads; one that reads nothing is right above its first reader;
2. a line over several layers gets a point in each of them, which all lines from the same node share;
3. order: each layer is sorted by the mean place of its neighbours, up and down in turn; the order with the fewest crossings is kept;
4. x: as near to the neighbours' median as the widths allow, by isotonic regression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
    """What a line takes that passes a layer, besides the gap: lines are nearer to each other than boxes."""
    drop: float = 44.0
    """Between two layers."""
    margin: float = 12.0


@dataclass(frozen=True)
class Layout:
    """Boxes by their upper left corner, and the points through which each line goes."""

    boxes: Mapping[str, tuple[float, float]]
    lines: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]
    """From the bottom of one box to the top of the other; two points for each layer that it passes, where it is vertical."""
    width: float
    height: float


_Point = tuple[str, int]
"""A node in a layer: its box, or a line from it that passes."""


def lay_out(nodes: Sequence[str], edges: Sequence[tuple[str, str]], sizes: Sizes | None = None) -> Layout:
    """The graph drawn from top to bottom; the edges go from what was made to who read it, and have no cycle.

    >>> lay_out(["a", "b"], [("a", "b")]).boxes
    {'a': (12.0, 12.0), 'b': (12.0, 114.0)}
    """
    sizes = sizes or Sizes()
    layer = _layers(nodes, edges)
    links = sorted({link for one, other in edges for link in _links(one, other, layer)})
    rows: dict[int, list[_Point]] = {}
    for point in dict.fromkeys([*((name, layer[name]) for name in nodes), *(point for link in links for point in link)]):
        rows.setdefault(point[1], []).append(point)
    ordered = _ordered([rows[number] for number in sorted(rows)], links)
    centres = _centres(ordered, links, layer, sizes)
    left = min((x - _room(point, layer, sizes) / 2 for point, x in centres.items()), default=0.0)
    right = max((x + _room(point, layer, sizes) / 2 for point, x in centres.items()), default=0.0)
    shifted = {point: x - left + sizes.margin for point, x in centres.items()}

    def top(number: int) -> float:
        return sizes.margin + number * (sizes.height + sizes.drop)

    def line(one: str, other: str) -> Iterator[tuple[float, float]]:
        yield shifted[one, layer[one]], top(layer[one]) + sizes.height
        for number in range(layer[one] + 1, layer[other]):
            yield shifted[one, number], top(number)
            yield shifted[one, number], top(number) + sizes.height
        yield shifted[other, layer[other]], top(layer[other])

    boxes = {name: (shifted[name, layer[name]] - sizes.width / 2, top(layer[name])) for name in nodes}
    lines = {(one, other): tuple(line(one, other)) for one, other in edges}
    last = max(layer.values(), default=0)
    return Layout(boxes, lines, right - left + 2 * sizes.margin, top(last) + sizes.height + sizes.margin)


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    from graphlib import TopologicalSorter

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


def _links(one: str, other: str, layer: Mapping[str, int]) -> Iterator[tuple[_Point, _Point]]:
    """A line, cut at each layer that it passes."""
    points = [*((one, number) for number in range(layer[one], layer[other])), (other, layer[other])]
    yield from pairwise(points)


def _ordered(rows: list[list[_Point]], links: Sequence[tuple[_Point, _Point]]) -> list[list[_Point]]:
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        rows = [list(row) for row in rows]
        numbers = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for number in numbers:
            beside = {point: place for place, point in enumerate(rows[number - 1 if down else number + 1])}
            near = {point: [beside[other] for other in _neighbours(point, links) if other in beside] for point in rows[number]}
            place = {point: mean(near[point]) if near[point] else float(rows[number].index(point)) for point in rows[number]}
            rows[number].sort(key=place.__getitem__)
        if (crossings := _crossings(rows, links)) < fewest:
            best, fewest = rows, crossings
    return best


def _neighbours(point: _Point, links: Sequence[tuple[_Point, _Point]]) -> list[_Point]:
    return [other if one == point else one for one, other in links if point in (one, other)]


def _crossings(rows: Sequence[Sequence[_Point]], links: Sequence[tuple[_Point, _Point]]) -> int:
    place = {point: number for row in rows for number, point in enumerate(row)}
    between: dict[int, list[tuple[int, int]]] = {}
    for one, other in links:
        between.setdefault(one[1], []).append((place[one], place[other]))
    return sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for pairs in between.values() for k, a in enumerate(pairs) for b in pairs[:k])


def _room(point: _Point, layer: Mapping[str, int], sizes: Sizes) -> float:
    return sizes.width if layer[point[0]] == point[1] else sizes.lane


def _centres(
    rows: Sequence[Sequence[_Point]], links: Sequence[tuple[_Point, _Point]], layer: Mapping[str, int], sizes: Sizes
) -> dict[_Point, float]:
    found: dict[_Point, float] = {}
    for row in rows:
        found.update(zip(row, _apart(row, [0.0] * len(row), layer, sizes), strict=True))
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wished = [median([found[other] for other in _neighbours(point, links)] or [found[point]]) for point in row]
            found.update(zip(row, _apart(row, wished, layer, sizes), strict=True))
    return found


def _apart(row: Sequence[_Point], wished: Sequence[float], layer: Mapping[str, int], sizes: Sizes) -> list[float]:
    """The nearest to what is wished, by squares, at which all have their room: pool adjacent violators of wish less least place."""
    least = [0.0]
    for one, other in pairwise(row):
        least.append(least[-1] + (_room(one, layer, sizes) + _room(other, layer, sizes)) / 2 + sizes.gap)
    pools: list[list[float]] = []
    for wish, place in zip(wished, least, strict=True):
        pools.append([wish - place])
        while len(pools) > 1 and mean(pools[-2]) > mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    return [mean(pool) + place for place, pool in zip(least, (pool for pool in pools for _ in pool), strict=True)]
