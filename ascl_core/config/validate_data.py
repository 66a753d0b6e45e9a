"""Parameters of `validate_data`."""

from __future__ import annotations

from pydantic import Field

from ascl_core.config.base import Config


class ValidateDataConfig(Config):
    """What the curated prompts must look like before anything is trained on them."""

    min_rows: int = Field(default=500, ge=1)
    """Fewer training prompts than this block the run."""
    min_rows_per_type: int = Field(default=50, ge=0)
    """Fewer prompts of any type than this block the run."""
    min_share_of_categories: float = Field(default=0.9, ge=0.0, le=1.0)
    """Prompts of a smaller share of the categories that have a rule in force, rounded down, block the run."""
    min_share_with_category: float = Field(default=1.0, ge=0.0, le=1.0)
    """A smaller share of prompts with a rule category, among all but utility prompts, blocks the run. A source whose labels have no
    counterpart among the categories wants less than 1."""
    max_share_of_type: float = Field(default=0.6, gt=0.0, le=1.0)
    """A prompt type with a larger share than this blocks the run."""
