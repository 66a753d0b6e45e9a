"""The graphs of one or two snapshots as one drawing: a box for each stage and each source, a line for each that read another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from tasks.lineage.layout import Sizes, lay_out

SIZES = Sizes()
_SHORT = 12
_LINE = 21
"""Characters that fit into a box."""


class State(StrEnum):
    """The state of a box or a line."""

    PLAIN = "plain"
    BROKEN = "broken"
    """Other bytes were read than written."""
    SAME = "same"
    DIFFERS = "differs"
    ONLY_BEFORE = "before"
    ONLY_NOW = "now"


DESCRIPTIONS = {
    State.BROKEN: "read other bytes than were written",
    State.SAME: "same outputs",
    State.DIFFERS: "other outputs",
    State.ONLY_BEFORE: "only before",
    State.ONLY_NOW: "only now",
}
_MARKS = {State.BROKEN: "✗", State.SAME: "=", State.DIFFERS: "≠", State.ONLY_BEFORE: "−", State.ONLY_NOW: "+"}


@dataclass(frozen=True)
class Box:
    """A stage or a source."""

    name: str
    x: float
    y: float
    lines: tuple[str, ...]
    """Its name, in pieces that fit."""
    figures: str
    """Short hash and duration."""
    label: str
    """Everything in words."""
    state: State
    is_source: bool
    is_chosen: bool
    is_upstream: bool
    """Whether the chosen artifact comes from it."""

    @property
    def mark(self) -> str:
        """A sign for the state, for readers who do not see colours."""
        return _MARKS.get(self.state, "")


@dataclass(frozen=True)
class Line:
    """A stage that read the output of another one, or a source."""

    writer: str
    reader: str
    path: str
    """Of SVG."""
    state: State
    label: str


@dataclass(frozen=True)
class Drawing:
    """What the page draws."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


_Side = Mapping[str, Any]
"""A graph as `page_data` describes it."""
_Read = tuple[int, Mapping[str, Any]]
"""An edge, and the number of its side."""


def draw(sides: Sequence[_Side]) -> Drawing:
    """Draw one or two graphs (before, now) over each other.

    That the report reads the record of every stage is drawn only where a record differs, as these lines would cover all others.
    """
    names = list(dict.fromkeys(name for side in sides for kind in ("sources", "nodes") for name in side[kind]))
    reads = _reads(sides)
    layout = lay_out(names, list(reads), SIZES)
    boxes = [_box(name, layout.boxes[name], sides) for name in names]
    lines = [_line(link, reads[link], layout.lines[link], len(sides)) for link in reads]
    return Drawing(
        tuple(sorted(boxes, key=lambda box: (box.y, box.x))),
        tuple(sorted(lines, key=lambda line: line.state != State.PLAIN)),
        layout.width,
        layout.height,
    )


def _reads(sides: Sequence[_Side]) -> dict[tuple[str, str], list[_Read]]:
    """Return the edges from each writer to each reader."""
    found: dict[tuple[str, str], list[_Read]] = {}
    for number, side in enumerate(sides):
        for reader, node in side["nodes"].items():
            for edge in node["edges"]:
                if not edge["is_record"] or not edge["holds"]:
                    found.setdefault((edge["producer"] or edge["path"], reader), []).append((number, edge))
    return found


def _line(link: tuple[str, str], reads: Sequence[_Read], points: Sequence[tuple[float, float]], sides: int) -> Line:
    read = [{edge["path"]: edge["sha256"] for number, edge in reads if number == side} for side in range(sides)]
    broken = not all(edge["holds"] for _, edge in reads)
    state = State.BROKEN if broken else State.DIFFERS if sides > 1 and read[0] != read[-1] else State.PLAIN
    note = {State.BROKEN: f": {DESCRIPTIONS[State.BROKEN]}", State.DIFFERS: ": other bytes"}.get(state, "")
    paths = ", ".join(dict.fromkeys(edge["path"] for _, edge in reads))
    return Line(*link, _svg(points), state, f"{link[1]} reads {paths}{note}")


def _svg(points: Sequence[tuple[float, float]]) -> str:
    """Return a path that is vertical where the line leaves, crosses a layer and arrives, with curves between."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        half = (y0 + y1) / 2
        parts.append(f"V{y1:.1f}" if number % 2 else f"C{x0:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y1:.1f}")
    return "".join(parts)


def _box(name: str, corner: tuple[float, float], sides: Sequence[_Side]) -> Box:
    now, is_source = sides[-1], any(name in side["sources"] for side in sides)
    state = _state(name, sides)
    node = now["nodes"].get(name) or sides[0]["nodes"].get(name)
    versions = list(dict.fromkeys(sha256 for side in reversed(sides) for sha256 in side["sources"].get(name, ())))
    sha256 = node["record"]["outputs"].get(node["output"], "") if node else versions[0]
    seconds = f" · {node['record']['seconds']:g} s" if node else ""
    figures = f"{sha256[:_SHORT]}{seconds}" if not is_source or state is not State.BROKEN else f"{len(versions)} versions"
    is_chosen = name == now["stage"]
    words = ["written by people" if is_source else "", DESCRIPTIONS.get(state, ""), "chosen" if is_chosen else ""]
    label = ", ".join(word for word in (name if is_source else f"stage {name}", figures.replace(" · ", ", "), *words) if word)
    return Box(name, *corner, tuple(_fitting(name, 2)), figures, label, state, is_source, is_chosen, name in now["upstream"])


def _state(name: str, sides: Sequence[_Side]) -> State:
    nodes = [side["nodes"].get(name) for side in sides]
    if any(not edge["holds"] for node in nodes if node for edge in node["edges"]) or len(sides[-1]["sources"].get(name, ())) > 1:
        return State.BROKEN
    if len(sides) == 1:
        return State.PLAIN
    before, after = (node["record"]["outputs"] if node else side["sources"].get(name) for node, side in zip(nodes, sides, strict=True))
    if before is None or after is None:
        return State.ONLY_NOW if before is None else State.ONLY_BEFORE
    return State.SAME if before == after else State.DIFFERS


def _fitting(text: str, most: int) -> Iterator[str]:
    """Yield at most so many lines, broken after a separator if there is one."""
    if len(text) > _LINE and most > 1:
        cut = max((text.rfind(mark, 0, _LINE) + 1 for mark in "_/-"), default=0) or _LINE
        yield text[:cut]
        yield from _fitting(text[cut:], most - 1)
    else:
        yield text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"
