"""Rendering rules for the model: one line a rule, in which nothing can pass for markup or for another rule."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ascl_core.rules.corpus import Rule
from ascl_core.text import fold_line

NO_MATCH = "No rule matches."
_TOKEN = re.compile(r"\w+|[^\w\s]")
_DELIMITERS = str.maketrans({"<": " ", ">": " ", "|": " ", "[": "(", "]": ")", "{": "(", "}": ")", "`": "'"})


def plain(text: str) -> str:
    """Fold the text and remove the delimiters of chat templates.

    Square brackets become round ones, so that no text can forge the id that opens a rule's line.
    """
    return " ".join(fold_line(text).translate(_DELIMITERS).split())


def render_rule(rule: Rule, similarity: float | None = None) -> str:
    """Return one line such as `[DRG-03] refuse_explain: Growing cannabis at home prohibited. Growing cannabis … (similarity 0.71)`."""
    shown = "" if similarity is None else f" (similarity {similarity:.2f})"
    return f"[{rule.id}] {rule.policy}: {plain(rule.title)}. {plain(rule.text)}{shown}"


def render_rules(rules: Sequence[Rule], similarities: Sequence[float] | None = None) -> str:
    """Return the text of a tool result: one line a rule, with the similarities if they are given, or that no rule matches."""
    shown: Sequence[float | None] = similarities if similarities is not None else [None] * len(rules)
    return "\n".join(render_rule(rule, similarity) for rule, similarity in zip(rules, shown, strict=True)) or NO_MATCH


def count_tokens(text: str) -> int:
    """Count words and punctuation marks: an estimate for budgets that needs no tokenizer."""
    return len(_TOKEN.findall(text))


SIMILARITY_TOKENS = count_tokens("(similarity 0.71)")
"""The tokens that the similarity adds to a rule's line."""
