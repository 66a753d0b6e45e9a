"""Parameters of `report`."""

from __future__ import annotations

from pydantic import Field

from ascl_core.config.base import Config


class ReportConfig(Config):
    """The content of the report page."""

    title: str = "ASCL run"
    """The page's title."""
    sample_conversations: int = Field(default=8, ge=0, le=100)
    """Conversations shown in full."""
