"""Which judge gives verdicts."""

from __future__ import annotations

from typing import Literal

from ascl_core.config.base import Config


class JudgeConfig(Config):
    """One judge."""

    name: Literal["rules", "exemplars", "qwen3guard", "wildguard", "llama_guard", "harmbench", "openai"] = "rules"
    """`rules` and `exemplars` need no weights and no network."""
    model: str | None = None
    """Path, hub id or endpoint model of a model-based judge; None takes the judge's own."""
    base_url: str | None = None
    """`openai`: the endpoint; its key is read from `OPENAI_API_KEY`."""
