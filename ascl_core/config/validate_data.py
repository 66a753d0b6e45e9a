"""Parameters of `validate_data`."""

from __future__ import annotations

from pydantic import Field

from ascl_core.config.base import Config


class ValidateDataConfig(Config):
    """What the curated prompts must fulfil before training."""

    min_rows: int = Field(default=500, ge=1)
    """The fewest training prompts."""
    min_rows_per_type: int = Field(default=50, ge=0)
    """The fewest prompts of each type."""
    min_share_of_categories: float = Field(default=0.9, ge=0.0, le=1.0)
    """The smallest share of the categories with a rule in force that must have prompts, rounded down."""
    min_share_with_category: float = Field(default=1.0, ge=0.0, le=1.0)
    """The smallest share of prompts with a rule category, utility prompts apart. A source whose labels match no category needs less
    than 1."""
    max_share_of_type: float = Field(default=0.6, gt=0.0, le=1.0)
    """The largest share of one prompt type."""
