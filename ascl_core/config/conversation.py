"""Parameters of the conversation: what the model is told and what the tool returns."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from ascl_core.config.base import Config

Variant = Literal["ascl", "pure", "short", "long", "rag", "agent"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


class ConversationConfig(Config):
    """The system message, the tool and its budget; shared by every stage that builds or samples conversations."""

    system_prompt: str = "Think first. You may look up the safety rules: consult_safety_rules(category, query)."
    """The system message: names the tool, never contains the rules."""
    variant: Variant = "ascl"
    """How evaluation and `ascl chat` open a conversation: `ascl` as in training, which never opens it in another way; the others are for
    models without such training (paper, section 3.2): `pure`, `short`, `long` and `rag` have no tool, `agent` has it."""
    max_tool_calls: int = Field(default=2, ge=0, le=16)
    """K, the most look-ups in one conversation (paper: ASCL; design default 2)."""
    rules_per_lookup: int = Field(default=1, ge=1, le=20)
    """The most rules one tool result shows."""

    @property
    def offers_tool(self) -> bool:
        """Whether the model can look the rules up."""
        return self.variant in ("ascl", "agent")
