"""Words to make different texts of."""

from __future__ import annotations

WORDS = [
    "amber",
    "bridge",
    "candle",
    "desert",
    "engine",
    "forest",
    "garden",
    "harbour",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "marble",
    "needle",
    "orange",
    "pillow",
    "quartz",
    "ribbon",
    "saddle",
    "temple",
    "umbrella",
    "velvet",
    "window",
    "yellow",
    "zebra",
    "anchor",
    "basket",
    "copper",
]
EVALUATION = " ".join(WORDS[:16])
"""Sixteen words: nine 8-grams, four 13-grams."""
