"""The charts of the report and the comparison, each with its legend, its alternative text and the figures for its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    """Return the chart of the arms with both rates and enough verdicts."""
    skipped, front = few_verdicts(safe, refused), pareto_front(safe, refused)
    not_drawn = tuple(labels[i] for i in sorted(skipped))
    points = [plots.Point(o, s, i, i in front) for i, s, o in _drawn(safe, refused)]
    if not points:
        return SafetyChart(None, front, not_drawn)
    values = "; ".join(
        f"{labels[p.series]}: safety {percent(p.safety['value'])}, over-refusal {percent(p.over_refusal['value'])}" for p in points
    )
    return SafetyChart(Markup(plots.safety_plot(points, f"Safety against over-refusal. {values}.")), front, not_drawn)


def pareto_front(safe: Estimates, refused: Estimates) -> tuple[int, ...]:
    """Return the positions of the arms that no other arm dominates in safety and over-refusal."""
    points = {i: (s["value"], o["value"]) for i, s, o in _drawn(safe, refused)}
    return tuple(i for i, (s, o) in points.items() if not any(a >= s and b <= o and (a, b) != (s, o) for a, b in points.values()))


def few_verdicts(*figures: Estimates) -> set[int]:
    """Return the positions of the arms with less than half as many verdicts as the best judged arm: their rates mean little."""
    return {i for row in figures for i, e in enumerate(row) if e and 2 * e["n"] < max(other["n"] for other in row if other)}


def _drawn(safe: Estimates, refused: Estimates) -> list[tuple[int, Mapping[str, Any], Mapping[str, Any]]]:
    skipped = few_verdicts(safe, refused)
    return [(i, s, o) for i, (s, o) in enumerate(zip(safe, refused, strict=True)) if s and o and i not in skipped]


def legend(labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return colour, marker and line style for each label, in order."""
    return [
        {"label": label, "series": i % len(plots.SERIES), "glyph": _GLYPHS[i % len(_GLYPHS)], "stroke": _STROKES[i % len(_STROKES)]}
        for i, label in enumerate(labels)
    ]


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
