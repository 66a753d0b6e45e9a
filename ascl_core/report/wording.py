"""Format figures and untrusted text for the page and the cards."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ascl_core.evaluation.figures import SHARE

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
"""The names of the prompt types on the page, and of the prompts on which jurisdictions disagree."""


def percent(value: float | None) -> str:
    """Return a share in percent, such as `93.2 %`, or "no data".

    >>> percent(None)
    'no data'
    """
    return NO_DATA if value is None else f"{100 * value:.1f}{_NARROW}%"


def number(value: float | None) -> str:
    """Return a number with decimals according to its size.

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
    """Return the 95 % interval of a proportion, such as `90.1–95.4 %`."""
    return NO_DATA if estimate is None else f"{100 * estimate['low']:.1f}–{100 * estimate['high']:.1f}{_NARROW}%"


def number_interval(estimate: Mapping[str, Any] | None) -> str:
    """Return the 95 % interval of a mean, such as `44.1–52.0`."""
    return NO_DATA if estimate is None else f"{estimate['low']:.1f}–{estimate['high']:.1f}"


def figure(estimate: Mapping[str, Any] | None, kind: str = SHARE) -> str:
    """Return a figure with its 95 % interval, such as `46.3 % [39.9–52.8 %]`; a mean without the percent signs."""
    if not estimate:
        return NO_DATA
    value, interval = (percent, share_interval) if kind == SHARE else (number, number_interval)
    return f"{value(estimate['value'])} [{interval(estimate)}]"


def points(value: float | None) -> str:
    """Return a difference of shares in percentage points, such as `+1.9 points`."""
    return NO_DATA if value is None else f"{100 * value:+.1f}{_NARROW}points".replace("-", "−")


def points_interval(estimate: Mapping[str, Any] | None) -> str:
    """Return the 95 % interval of a difference of shares in percentage points, such as `−8.1 to −2.0`."""
    return NO_DATA if estimate is None else f"{100 * estimate['low']:+.1f} to {100 * estimate['high']:+.1f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """Return a p-value such as `0.021`, or `< 0.001`."""
    if value is None:
        return NO_DATA
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """Return a duration such as `3 min 20 s`."""
    if seconds is None:
        return NO_DATA
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def short(digest: str | None) -> str:
    """Return the first twelve digits of a digest."""
    return NO_DATA if not digest else str(digest)[:12]


def markdown(text: object) -> Markup:
    """Return untrusted text as one line of inert Markdown: it cannot start markup, a list or a table cell.

    >>> print(markdown("a | <b>b</b>"))
    a \\| &lt;b&gt;b&lt;/b&gt;
    """
    return Markup(html.escape(_MARKDOWN.sub(r"\\\1", " ".join(str(text).split())), quote=False))
