"""Parameters of `base_model`: the model that training starts from."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ascl_core.config.base import Config

PINNED = {
    "Qwen/Qwen3-4B": "1cfa9a7208912126459214e8b04321603b3df60c",
    "Qwen/Qwen3-8B": "b968826d9c46dd6066d109eabc6255188de91218",
    "Qwen/Qwen3-14B": "40c069824f4251a91eefaf281ebe4c544efd3e18",
}
"""The revisions of the models that the paper trains (arXiv 2602.13562), as several public projects pin them."""


class ScratchConfig(Config):
    """A small Qwen3-style decoder with random weights, and its byte-level BPE tokenizer."""

    vocab_size: int = Field(default=2048, ge=320, le=50_000)
    """Tokens of the byte-level BPE, special tokens included."""
    hidden_size: int = Field(default=128, ge=16)
    """Width of the residual stream."""
    num_layers: int = Field(default=2, ge=1)
    """Decoder blocks."""
    num_heads: int = Field(default=4, ge=1)
    """Query heads."""
    num_kv_heads: int = Field(default=2, ge=1)
    """Key/value heads."""
    head_dim: int = Field(default=32, ge=8)
    """Size of one head."""
    intermediate_size: int = Field(default=384, ge=16)
    """Width of the MLP."""
    max_position: int = Field(default=512, ge=64)
    """Context length, in tokens."""
    initializer_range: float = Field(default=0.09, gt=0.0, le=1.0)
    """Standard deviation of the initial weights; with 0.02 a model of this size does not learn arithmetic."""


class BaseModelConfig(Config):
    """A pretrained model by path or hub id, or one from scratch."""

    path: str | None = None
    """A local folder, `package:NAME` (weights inside an installed package), or a hub id; None builds one from scratch."""
    revision: str | None = None
    """The pinned revision of a hub id; known for the models of the paper (Qwen3-4B, 8B, 14B)."""
    scratch: ScratchConfig = ScratchConfig()
    """Sizes of the model from scratch; read only if `path` is None."""
    seed: int = 0
    """Seed of the initial weights."""

    @model_validator(mode="before")
    @classmethod
    def _known_revision(cls, values: Any) -> Any:
        """Add the revision of a known model if none is given."""
        known = PINNED.get(str(values.get("path"))) if isinstance(values, dict) else None
        return values if known is None or values.get("revision") is not None else {**values, "revision": known}
