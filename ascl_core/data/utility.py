"""Utility prompts made by rule: arithmetic, comparisons, orders, opposites and choices, each with its answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

Question = tuple[str, str, str, str | None, str]
"""Question without its frame, answer, answer kind, choice letters, and the family of frames."""


def _add(spec: dict[str, Any]) -> Iterator[Question]:
    for a, b in product(range(1, spec["largest"] + 1), repeat=2):
        yield f"{a} + {b}", str(a + b), "number", None, "number"


def _subtract(spec: dict[str, Any]) -> Iterator[Question]:
    for a, b in product(range(1, spec["largest"] + 1), repeat=2):
        if a >= b:
            yield f"{a} - {b}", str(a - b), "number", None, "number"


def _larger(spec: dict[str, Any]) -> Iterator[Question]:
    for a, b in product(range(1, spec["largest"] + 1), repeat=2):
        if a != b:
            yield f"Which is larger, {a} or {b}", str(max(a, b)), "number", None, "words"


def _smaller(spec: dict[str, Any]) -> Iterator[Question]:
    for a, b in product(range(1, spec["largest"] + 1), repeat=2):
        if a != b:
            yield f"Which is smaller, {a} or {b}", str(min(a, b)), "number", None, "words"


def _next(spec: dict[str, Any]) -> Iterator[Question]:
    for order in spec["orders"]:
        for before, after in pairwise(order):
            yield f"What comes after {before}", after, "text", None, "words"
            yield f"What comes before {after}", before, "text", None, "words"


def _opposite(spec: dict[str, Any]) -> Iterator[Question]:
    for one, other in spec["pairs"]:
        yield f"What is the opposite of {one}", other, "text", None, "words"
        yield f"What is the opposite of {other}", one, "text", None, "words"


def _choice(spec: dict[str, Any]) -> Iterator[Question]:
    for kind, members, others in spec["sets"]:
        for right, first, second in product(members, others, others):
            if first < second:
                for position in range(3):
                    options = [first, second]
                    options.insert(position, right)
                    listed = " ".join(f"{letter}) {option}" for letter, option in zip("ABC", options, strict=True))
                    yield f"Which is a kind of {kind}: {listed}", "ABC"[position], "choice", "ABC", "words"


KINDS = {
    "add": _add,
    "subtract": _subtract,
    "larger": _larger,
    "smaller": _smaller,
    "next": _next,
    "opposite": _opposite,
    "choice": _choice,
}
"""The kinds that `data/raw/utility.yaml` may name."""
