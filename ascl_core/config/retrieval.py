"""Parameters of retrieval: how the rules for a query are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ascl_core.config.base import Config, Url

Part = Literal["rule", "whole", "title", "query", "text", "keywords", "examples"]


class RetrievalConfig(Config):
    """How rules are ranked; shared by every stage and server that looks rules up."""

    backend: Literal["bm25", "dense", "hybrid"] = "bm25"
    """`bm25` compares words, `dense` compares embeddings (cosine), `hybrid` fuses both rankings (Cormack et al. 2009)."""
    model: Url | None = None
    """The embedding model of `dense` and `hybrid`: a folder, a hub id, or `package:NAME` for one inside an installed package."""
    revision: str | None = None
    """The pinned revision of a hub id, for repeatable runs."""
    query_prompt: str | None = None
    """Text before every query, such as an instruction; None means the model's own prompt for queries."""
    dimensions: int | None = Field(default=None, ge=8, le=8192)
    """Keep only the first dimensions of an embedding, for models trained for it (Matryoshka; Qwen3-Embedding)."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """Where the embedding model runs; `auto` uses a GPU if there is one."""
    parts: tuple[Part, ...] = Field(default=("rule", "whole", "examples"), min_length=1)
    """The parts of a rule with a vector each; `rule` is title, text and keywords in one text, `whole` also has the examples."""
    combine: Literal["mean", "best"] = "mean"
    """Compare the query with the mean of a rule's vectors, or with the best of them."""
    rank_constant: int = Field(default=60, ge=1, le=1000)
    """k of reciprocal rank fusion, 1 / (k + rank) (paper of the method: 60)."""
    word_weight: float = Field(default=0.3, gt=0.0, le=10.0)
    """The weight of the ranking by words in `hybrid`; the ranking by embeddings has weight 1."""

    @model_validator(mode="after")
    def _dense_has_a_model(self) -> RetrievalConfig:
        if self.backend != "bm25" and not self.model:
            raise ValueError(f"backend {self.backend} needs a model: give a folder, a hub id or package:NAME")
        return self


BY_WORDS = RetrievalConfig()
"""BM25, which needs no model."""
