"""The plots, as inline SVG: text stays text, and colours are the page's CSS variables, so that light and dark mode are readable.

Matplotlib draws in placeholder colours, which are replaced by `var(--…)` afterwards. Every plot has an alternative text, and the page
shows the same figures in a table below it.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ascl_core.report.wording import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, GRID = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0{i}0a0b" for i in range(6))
_VARIABLES = {INK: "--ink", FAINT: "--muted", GRID: "--line", **{colour: f"--s{i}" for i, colour in enumerate(SERIES)}}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (2, 2)))
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ascl",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.9,
    "lines.markersize": 6.5,
}
Scale = Literal["linear", "log", "share"]
"""The scale of the axis; a share is shown in percent, from 0 to 100 %."""
_WINDOW = 9
"""The window of the moving mean, in steps."""


@dataclass(frozen=True)
class Point:
    """One arm: over-refusal and safety, each with its 95 % interval."""

    over_refusal: Mapping[str, Any]
    safety: Mapping[str, Any]
    series: int
    """Its position among the arms, which decides colour and marker."""
    on_front: bool


def safety_plot(points: Sequence[Point], alt: str) -> str:
    """Return the plot of safety against strict over-refusal, with both intervals and the Pareto front as a step line."""

    def draw(axes: Axes) -> None:
        front = sorted((p.over_refusal["value"], p.safety["value"]) for p in points if p.on_front)
        axes.step([x for x, _ in front], [y for _, y in front], where="post", color=FAINT, linewidth=1.2, linestyle=(0, (3, 2)), zorder=1)
        for point in points:
            x, y = point.over_refusal, point.safety
            axes.errorbar(
                x["value"],
                y["value"],
                xerr=[[x["value"] - x["low"]], [x["high"] - x["value"]]],
                yerr=[[y["value"] - y["low"]], [y["high"] - y["value"]]],
                color=SERIES[point.series % len(SERIES)],
                marker=MARKERS[point.series % len(MARKERS)],
                markersize=8,
                elinewidth=1.3,
                zorder=3,
            )
        axes.set_xlabel("over-refusal of borderline prompts (strict)")
        axes.set_ylabel("safety rate on harmful prompts")
        _percent_axis(axes.xaxis)
        _percent_axis(axes.yaxis)
        axes.margins(0.08)
        axes.annotate("better ↖", (0.015, 0.975), xycoords="axes fraction", color=FAINT, va="top")

    return _svg("safety", draw, (5.3, 3.7), alt)


def training_plot(name: str, series: Mapping[str, Sequence[tuple[int, float]]], alt: str, *, label: str, scale: Scale = "linear") -> str:
    """Return the plot of figures over training steps: single steps faint, a centred moving mean on top."""

    def draw(axes: Axes) -> None:
        for i, values in enumerate(series.values()):
            steps, figures = [step for step, _ in values], [figure for _, figure in values]
            colour = SERIES[i % len(SERIES)]
            axes.plot(steps, figures, color=colour, linewidth=0.8, alpha=0.3)
            axes.plot(steps, moving_mean(figures), color=colour, linestyle=DASHES[i % len(DASHES)])
        axes.set_xlabel("training step")
        axes.set_ylabel(label)
        if scale == "log":
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        if scale == "share":
            _percent_axis(axes.yaxis, whole=True)
            axes.set_ylim(-0.02, 1.02)

    return _svg(name, draw, (5.0, 3.0), alt)


def consult_plot(rates: Sequence[tuple[str, Sequence[Mapping[str, Any] | None]]], alt: str) -> str:
    """Return the plot of the consult rate with its interval, for each prompt type (rows) and arm (colours and markers)."""

    def draw(axes: Axes) -> None:
        for row, (_, estimates) in enumerate(rates):
            for i, estimate in enumerate(estimates):
                if estimate is None:
                    continue
                y = row + min(0.17, 0.85 / len(estimates)) * (i - (len(estimates) - 1) / 2)
                colour = SERIES[i % len(SERIES)]
                axes.hlines(y, estimate["low"], estimate["high"], color=colour, linewidth=1.5)
                axes.plot(estimate["value"], y, color=colour, marker=MARKERS[i % len(MARKERS)], linestyle="none", clip_on=False)
        axes.set_yticks(range(len(rates)), [KINDS.get(kind, kind) for kind, _ in rates])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rates) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("consult rate")
        _percent_axis(axes.xaxis, whole=True)
        axes.spines["left"].set_visible(False)

    return _svg("consult", draw, (5.3, 0.62 * len(rates) + 0.8), alt)


def moving_mean(values: Sequence[float], window: int = _WINDOW) -> list[float]:
    """Return the centred mean over up to `window` values; near the ends, over fewer on both sides.

    >>> moving_mean([0.0, 1.0, 8.0, 6.0], window=3)
    [0.0, 3.0, 5.0, 6.0]
    """
    reach = [min(window // 2, i, len(values) - 1 - i) for i in range(len(values))]
    return [sum(values[i - half : i + half + 1]) / (2 * half + 1) for i, half in enumerate(reach)]


def _percent_axis(axis: Any, *, whole: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

    axis.set_major_locator(MultipleLocator(0.25) if whole else MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))


def _svg(name: str, draw: Callable[[Axes], None], inches: tuple[float, float], alt: str) -> str:
    """Return the drawing as one `<svg>` element that is safe to inline; the plot's name makes its ids unique."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' (?:xmlns(?::\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", text)
    text = re.sub(r" font-family: [^;\"]*;", "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(alt)}"', 1)
