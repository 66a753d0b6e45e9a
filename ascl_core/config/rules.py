"""Parameters of `validate_rules` and of every look-up."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from ascl_core.config.base import Config


class RulesConfig(Config):
    """How the rule corpus is checked and compiled."""

    at: date = date(2026, 11, 1)
    """The date on which rules must be in force; a parameter, so that a run can be repeated later."""
    max_rule_tokens: int = Field(default=80, ge=10, le=2000)
    """Budget for one rendered rule, in whitespace-and-punctuation tokens."""
    max_tool_tokens: int = Field(default=200, ge=20, le=8000)
    """Budget for one tool result, in the same tokens."""
    rules_per_result: int = Field(default=2, ge=1, le=20)
    """How many of the longest rules must fit that budget together; at least conversation.max_top_k."""
    near_duplicate_similarity: float = Field(default=0.8, gt=0.0, le=1.0)
    """Word overlap of two rule texts (Dice) from which they are reported as near-duplicates."""
    warnings_fail: bool = False
    """Treat warnings as errors."""
