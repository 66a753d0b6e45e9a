"""Parameters of the conversation: the system message, the tool and what it returns."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from ascl_core.config.base import Config

Variant = Literal["ascl", "pure", "short", "long", "rag", "agent"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


class ConversationConfig(Config):
    """The system message, the tool and its budget; shared by every stage that builds or samples conversations."""

    system_prompt: str = "Think first. You may look up the safety rules: consult_safety_rules(category, query)."
    """The system message; it names the tool and never contains the rules."""
    variant: Variant = "ascl"
    """How evaluation and `ascl chat` open a conversation: `ascl` is the opening of training; the others are for models without such
    training (paper, section 3.2): `pure`, `short`, `long` and `rag` have no tool, `agent` has it."""
    max_tool_calls: int = Field(default=2, ge=0, le=16)
    """K, the most look-ups in one conversation (paper: ASCL; design default 2)."""
    top_k: int = Field(default=1, ge=1, le=20)
    """How many rules a tool result shows by default (paper: 3)."""
    max_top_k: int = Field(default=1, ge=1, le=20)
    """The most rules that a call may request (paper: 20); if it equals `top_k`, the tool has no argument `top_k`."""
    offer_category: bool = True
    """Offer the model the argument `category`, which limits a look-up to one category (paper: no such argument)."""
    show_similarity: bool = True
    """Show the model how similar each rule of a tool result is to the query, from 0 to 1 (paper: yes)."""

    @property
    def offers_top_k(self) -> bool:
        """Whether the tool has the argument `top_k`."""
        return self.max_top_k > self.top_k

    @model_validator(mode="after")
    def _top_k_is_within_bounds(self) -> ConversationConfig:
        if self.top_k > self.max_top_k:
            raise ValueError(f"top_k is {self.top_k}, over max_top_k, which is {self.max_top_k}: raise max_top_k")
        return self

    @property
    def offers_tool(self) -> bool:
        """Whether the model has the tool."""
        return self.variant in ("ascl", "agent")
