"""Parameters of low-rank adaptation."""

from __future__ import annotations

from pydantic import Field

from ascl_core.config.base import Config


class LoraConfig(Config):
    """LoRA (arXiv 2106.09685) with peft: the weights are frozen, and a product of two thin matrices beside each is trained."""

    rank: int = Field(default=32, ge=1, le=1024)
    """r, the inner size of the two matrices."""
    alpha: int = Field(default=64, ge=1)
    """The product is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of a matrix's inputs that is dropped in training."""
    target_modules: tuple[str, ...] = ()
    """The adapted linear layers by name, such as `q_proj`; empty adapts all but the head."""
