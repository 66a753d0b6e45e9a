"""The rows of the plain suites: all but those whose prompts are attacked."""

from __future__ import annotations

from collections.abc import Iterable

from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.contracts import EvaluatedRollout


def is_plain(row: EvaluatedRollout) -> bool:
    """Whether the row's suite is none of the two."""
    return row.suite not in (FORGED_RULES, DISTRACTORS)


def plain_rows(rows: Iterable[EvaluatedRollout]) -> list[EvaluatedRollout]:
    """The rows of all other suites: what the headline and comparisons of models are about."""
    return [row for row in rows if is_plain(row)]
