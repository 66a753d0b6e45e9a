"""Parameters of the chat models that assist the teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config, Url


class ChatConfig(Config):
    """A chat model on this machine or behind an endpoint."""

    backend: Literal["vllm", "transformers", "openai"]
    """What runs the model: an engine on this machine, or an OpenAI-compatible endpoint."""
    model: str = Field(min_length=1)
    """Path, hub id, or endpoint model."""
    revision: str | None = None
    """The pinned revision of a hub id."""
    base_url: Url | None = None
    """`openai`: the endpoint; its key is read from `OPENAI_API_KEY`."""
    max_new_tokens: int = Field(default=2048, ge=8)
    """The most tokens of one reply, thinking included."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """The sampling temperature; an endpoint's model that refuses it is asked without."""


class PurifierConfig(ChatConfig):
    """The chat model that edits the teacher's trajectories."""

    max_edit: float = Field(default=0.5, gt=0.0, le=1.0)
    """The largest accepted edit of a thought or an answer: words removed or added, as a share of the words of both versions. The
    analysis after a look-up may grow, so only removed words count there, as a share of the original words."""
