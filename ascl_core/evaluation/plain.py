"""The rows of the plain suites: all but those whose prompts are attacked."""

from __future__ import annotations

from collections.abc import Iterable

from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.contracts import EvaluatedRollout


def is_plain(row: EvaluatedRollout) -> bool:
    """Return whether the row is of neither suite with attacks."""
    return row.suite not in (FORGED_RULES, DISTRACTORS)


def plain_rows(rows: Iterable[EvaluatedRollout]) -> list[EvaluatedRollout]:
    """Return the rows of all other suites, which the headline and the comparisons of models cover."""
    return [row for row in rows if is_plain(row)]
