"""Parameters of the conversation: what the model is told and what the tool returns."""

from __future__ import annotations

from pydantic import Field

from ascl_core.config.base import Config


class ConversationConfig(Config):
    """The system message, the tool and its budget; shared by every stage that builds or samples conversations."""

    system_prompt: str = "Think first. You may look up the safety rules: consult_safety_rules(category, query)."
    """The system message: names the tool, never contains the rules."""
    max_tool_calls: int = Field(default=2, ge=0, le=16)
    """K, the most look-ups in one conversation (paper: ASCL; design default 2)."""
    rules_per_lookup: int = Field(default=1, ge=1, le=20)
    """The most rules one tool result shows."""
