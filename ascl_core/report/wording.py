"""Figures and untrusted text as they stand on the page and in the cards."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ascl_core.evaluation.figures import FIGURES as FIGURES

NO_DATA = "no data"
_NARROW = "\u202f"
_MARKDOWN = re.compile(r"([\\`*_\[\]|~]|^[#+=-]|(?<=^\d)[.)](?=\s|$)|(?<=^\d\d)[.)](?=\s|$)|(?<=^\d\d\d)[.)](?=\s|$))")

KINDS = {
    "harmful": "harmful",
    "borderline": "borderline",
    "sensitive": "sensitive",
    "utility": "utility",
    "dual_use": "dual-use",
}
"""Prompt types, and the prompts on which jurisdictions disagree, as the page names them."""


def percent(value: float | None) -> str:
    """`93.2 %`; what is not there says so.

    >>> percent(None)
    'no data'
    """
    return NO_DATA if value is None else f"{100 * value:.1f}{_NARROW}%"


def number(value: float | None) -> str:
    """A figure with as many decimals as it deserves.

    >>> number(0.03125), number(48.3333), number(1200.0)
    ('0.031', '48.3', '1200')
    """
    if value is None:
        return NO_DATA
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 100):
        return f"{int(value)}"
    if value != 0 and abs(value) < 0.001:
        return f"{value:.1g}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def share_interval(estimate: Mapping[str, Any] | None) -> str:
    """`90.1–95.4 %`, the 95 % interval of a proportion."""
    return NO_DATA if estimate is None else f"{100 * estimate['low']:.1f}–{100 * estimate['high']:.1f}{_NARROW}%"


def number_interval(estimate: Mapping[str, Any] | None) -> str:
    """`44.1–52.0`, the 95 % interval of a mean."""
    return NO_DATA if estimate is None else f"{estimate['low']:.1f}–{estimate['high']:.1f}"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign: `+1.9 pp`."""
    return NO_DATA if value is None else f"{100 * value:+.1f}{_NARROW}pp".replace("-", "−")


def points_interval(estimate: Mapping[str, Any] | None) -> str:
    """`−8.1 to −2.0 pp`, the 95 % interval of a difference of shares."""
    return NO_DATA if estimate is None else f"{100 * estimate['low']:+.1f} to {points(estimate['high'])}".replace("-", "−")


def p_value(value: float | None) -> str:
    """`0.021`, or `< 0.001`."""
    if value is None:
        return NO_DATA
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """`3 min 20 s`."""
    if seconds is None:
        return NO_DATA
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def short(digest: str | None) -> str:
    """The first twelve digits of a digest."""
    return NO_DATA if not digest else str(digest)[:12]


def markdown(text: object) -> Markup:
    """Untrusted text as inert Markdown in one line: no markup, no list, no table cell of its own.

    >>> print(markdown("a | <b>b</b>"))
    a \\| &lt;b&gt;b&lt;/b&gt;
    """
    return Markup(html.escape(_MARKDOWN.sub(r"\\\1", " ".join(str(text).split())), quote=False))
