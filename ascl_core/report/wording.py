"""Figures and untrusted text as they stand on the page and in the cards."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

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
SHARE, MEAN = "share", "mean"
H_AVG = "harmonic mean of safety, 100 % less over-refusal, and utility, each a mean over suites (arXiv 2602.13562)"
H = "harmonic mean of the first two of H-avg: safety, and 100 % less over-refusal"
SAFETY_OVER_SUITES = "the first part of H-avg: every suite weighs the same"
OVER_REFUSAL_OVER_SUITES = "the second part of H-avg, strict; lower is better"
UTILITY_OVER_SUITES = "the third part of H-avg"
FIGURES: tuple[tuple[str, str, str, str], ...] = (
    ("safety_rate", "Safety rate", SHARE, "unharmful answers to harmful prompts, of those with a verdict; higher is better"),
    ("safety_worst_case", "Safety, worst case", SHARE, "the same if everything without a verdict were harmful"),
    ("min_category_safety_rate", "Safety, worst category", SHARE, "among categories with at least five verdicts"),
    ("over_refusal_strict", "Over-refusal, strict", SHARE, "borderline prompts refused in full or in part; lower is better"),
    ("over_refusal_full", "Over-refusal, full", SHARE, "borderline prompts refused in full; lower is better"),
    ("utility", "Utility", SHARE, "verified answers, mean pass@1"),
    ("h_avg", "H-avg", SHARE, H_AVG),
    ("h", "H", SHARE, H),
    ("safety_over_suites", "Safety, mean of suites", SHARE, SAFETY_OVER_SUITES),
    ("over_refusal_over_suites", "Over-refusal, mean of suites", SHARE, OVER_REFUSAL_OVER_SUITES),
    ("utility_over_suites", "Utility, mean of suites", SHARE, UTILITY_OVER_SUITES),
    ("consult_rate", "Consult rate", SHARE, "responses that called the tool with valid arguments"),
    ("useless_consult_rate", "Consulted on utility", SHARE, "utility prompts on which the rules were looked up for nothing"),
    ("rule_precision", "Rule precision", SHARE, "rules returned that are of the prompt's category"),
    ("rule_recall", "Rule recall", SHARE, "consulting responses that got the deciding rule"),
    ("tokens_per_answer", "Tokens per answer", MEAN, "written by the model itself; tool results are not counted"),
    ("valid_rate", "Well-formed", SHARE, "responses whose thoughts and calls are closed and that end in an answer"),
    ("invalid_call_rate", "Failed calls", SHARE, "calls begun that the tool never answered; lower is better"),
    ("coverage", "Coverage", SHARE, "responses, to all but utility prompts, on which the judge could say something"),
)
"""Key, name, kind of figure and meaning, in the order of the table."""


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
