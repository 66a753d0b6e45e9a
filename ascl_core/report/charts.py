"""The charts of the report and the comparison, each with its legend, its alternative text and the figures for its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ascl_core.report import plots
from ascl_core.report.wording import number, percent

Series = Mapping[str, Sequence[tuple[int, float]]]
"""Steps and figures by label."""
Estimates = Sequence[Mapping[str, Any] | None]
"""One estimate for each arm, in order; None without data."""
_GLYPHS = ("●", "■", "▲", "◆", "▼", "✚", "✖", "◀", "▶", "⬟")
_STROKES = ("", "8 4", "2 3", "9 4 2 4", "5 2", "4 4")
_ENDS = 10
"""Steps at the start and at the end of training whose mean the tables show."""


@dataclass(frozen=True)
class SafetyChart:
    """Safety against strict over-refusal."""

    svg: Markup | None
    front: tuple[int, ...]
    """The positions of the arms on the Pareto front."""
    not_drawn: tuple[str, ...]
    """The labels of the arms with too few verdicts."""


def safety_chart(labels: Sequence[str], safe: Estimates, refused: Estimates) -> SafetyChart:
    """Return the chart of the arms with both rates and enough verdicts.

    An arm has too few with less than half as many as the best judged arm: its rates mean little.
    """
    few = {i for row in (safe, refused) for i, e in enumerate(row) if e and 2 * e["n"] < max(other["n"] for other in row if other)}
    drawn = {i: (s, o) for i, (s, o) in enumerate(zip(safe, refused, strict=True)) if s and o and i not in few}
    front = pareto_front({i: (s["value"], o["value"]) for i, (s, o) in drawn.items()})
    svg = None
    if drawn:
        values = "; ".join(f"{labels[i]}: safety {percent(s['value'])}, over-refusal {percent(o['value'])}" for i, (s, o) in drawn.items())
        points = [plots.Point(o, s, i, i in front) for i, (s, o) in drawn.items()]
        svg = Markup(plots.safety_plot(points, f"Safety against over-refusal. {values}."))
    return SafetyChart(svg, front, tuple(labels[i] for i in sorted(few)))


def pareto_front(points: Mapping[int, tuple[float, float]]) -> tuple[int, ...]:
    """Return the arms that no other arm dominates, of arms with safety and over-refusal.

    >>> pareto_front({0: (0.9, 0.1), 1: (0.95, 0.3), 2: (0.9, 0.2)})
    (0, 1)
    """
    return tuple(i for i, (s, o) in points.items() if not any(a >= s and b <= o and (a, b) != (s, o) for a, b in points.values()))


def legend(labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return colour, marker and line style for each label, in order."""
    return [
        {"label": label, "series": i % len(plots.SERIES), "glyph": _GLYPHS[i % len(_GLYPHS)], "stroke": _STROKES[i % len(_STROKES)]}
        for i, label in enumerate(labels)
    ]


def series_of(steps: Iterable[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    """Return step and value of a figure for each step of a training log that has it."""
    return [(int(step["step"]), float(step[key])) for step in steps if isinstance(step.get(key), int | float)]


def curves(name: str, title: str, series: Series, label: str, scale: plots.Scale = "linear") -> dict[str, Any]:
    """Return one plot over training steps with its legend and its table; without data there is no drawing."""
    show: Callable[[float | None], str] = percent if scale == "share" else number
    rows = [(key, show(_mean(values[:_ENDS])), show(_mean(values[-_ENDS:])), len(values)) for key, values in series.items() if values]
    ends = "; ".join(f"{key} {first} to {last}" for key, first, last, _ in rows)
    alt = f"{title}. Mean of the first and of the last {_ENDS} steps: {ends}."
    return {
        "title": title,
        "svg": Markup(plots.training_plot(name, series, alt, label=label, scale=scale)) if rows else None,
        "legend": [entry for entry in legend(list(series)) if series[entry["label"]]],
        "rows": rows,
        "ends": _ENDS,
    }


def _mean(values: Sequence[tuple[int, float]]) -> float:
    return sum(figure for _, figure in values) / len(values)
