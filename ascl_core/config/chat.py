"""Parameters of the chat models that assist the teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ascl_core.config.base import Config, without_credentials


class ChatConfig(Config):
    """A chat model on this machine or behind an endpoint."""

    backend: Literal["vllm", "transformers", "openai"]
    """What runs the model: an engine on this machine, or an OpenAI-compatible endpoint."""
    model: str = Field(min_length=1)
    """Path, hub id, or endpoint model."""
    revision: str | None = None
    """The pinned revision of a hub id."""
    base_url: str | None = None
    """`openai`: the endpoint; its key is read from `OPENAI_API_KEY`."""
    max_new_tokens: int = Field(default=2048, ge=8)
    """The most tokens of one reply."""

    @field_validator("base_url")
    @classmethod
    def _shows_no_credentials(cls, value: str | None) -> str | None:
        return without_credentials(value)


class PurifierConfig(ChatConfig):
    """The chat model that edits the teacher's trajectories."""

    max_edit: float = Field(default=0.5, gt=0.0, le=1.0)
    """The largest accepted edit of a thought or an answer: words removed or added, as a share of the words of both versions. The
    analysis after a look-up may grow, so only removed words count there, as a share of the original words."""
