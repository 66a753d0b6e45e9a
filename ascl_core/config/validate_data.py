"""Parameters of `validate_data`."""

from __future__ import annotations

from pydantic import Field

from ascl_core.config.base import Config


class ValidateDataConfig(Config):
    """What the curated prompts must fulfil before training; what is expected follows from the rules in force."""

    min_rows_per_rule: float = Field(default=1.0, ge=0.0)
    """The fewest prompts, for each rule in force."""
    min_rows_per_type: int = Field(default=1, ge=0)
    """The fewest prompts of each type that the policy of a rule in force decides."""
    min_share_of_categories: float = Field(default=0.9, ge=0.0, le=1.0)
    """The smallest share of the categories with a rule in force that must have prompts, rounded down."""
    min_share_with_category: float = Field(default=0.5, ge=0.0, le=1.0)
    """The smallest share of prompts with a rule category, utility prompts apart. Less means that the labels of a source match no category,
    or that the prompts have no word in common with the rules."""
    max_share_of_type: float = Field(default=0.6, gt=0.0, le=1.0)
    """The largest share of one prompt type. A larger one counts if the lower bound of its 95 % interval (Wilson) is larger, too."""
