"""Utility prompts made by rule: arithmetic, comparisons, orders, opposites and choices, each with its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import Any

Question = tuple[str, str, str, str | None, str]
"""Question without its frame, answer, answer kind, choice letters, and the family of frames."""
_NUMBERS: dict[str, tuple[str, Callable[[int, int], int | None], str]] = {
    "add": ("{} + {}", lambda a, b: a + b, "number"),
    "subtract": ("{} - {}", lambda a, b: a - b if a >= b else None, "number"),
    "larger": ("Which is larger, {} or {}", lambda a, b: max(a, b) if a != b else None, "words"),
    "smaller": ("Which is smaller, {} or {}", lambda a, b: min(a, b) if a != b else None, "words"),
}
"""Question, answer (None where there is no question), and family of frames, by kind."""


def questions(kind: str, spec: dict[str, Any]) -> Iterator[Question]:
    """Yield every question of a kind that `data/raw/utility.yaml` may name."""
    if kind in _NUMBERS:
        text, answer, family = _NUMBERS[kind]
        for a, b in product(range(1, spec["largest"] + 1), repeat=2):
            if (value := answer(a, b)) is not None:
                yield text.format(a, b), str(value), "number", None, family
    elif kind == "choice":
        yield from _choices(spec)
    else:
        is_order = kind == "next"
        first, second = ("What comes after", "What comes before") if is_order else ("What is the opposite of",) * 2
        for one, other in [pair for order in spec["orders"] for pair in pairwise(order)] if is_order else spec["pairs"]:
            yield f"{first} {one}", other, "text", None, "words"
            yield f"{second} {other}", one, "text", None, "words"


def _choices(spec: dict[str, Any]) -> Iterator[Question]:
    for kind, members, others in spec["sets"]:
        for right, first, second in product(members, others, others):
            for position in range(3) if first < second else ():
                options = [first, second]
                options.insert(position, right)
                listed = " ".join(f"{letter}) {option}" for letter, option in zip("ABC", options, strict=True))
                yield f"Which is a kind of {kind}: {listed}", "ABC"[position], "choice", "ABC", "words"
