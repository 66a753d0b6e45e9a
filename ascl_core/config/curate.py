"""Parameters of `curate`."""

from __future__ import annotations

from pydantic import Field, model_validator

from ascl_core.config.base import Config
from ascl_core.config.sources import OWN, SourceConfig


class CurateConfig(Config):
    """The prompts for training, and the filters that they must pass."""

    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    """The sources, in order of precedence: the earlier of two duplicates is kept."""
    min_chars: int = Field(default=3, ge=1)
    """Shorter prompts are dropped."""
    max_chars: int = Field(default=4000, ge=1)
    """Longer prompts are dropped."""
    near_duplicate_similarity: float = Field(default=0.9, ge=0.0, le=1.0)
    """MinHash Jaccard similarity of character 5-grams from which the later prompt is dropped."""
    minhash_permutations: int = Field(default=128, ge=16, le=1024)
    """Permutations of the MinHash signature."""
    contamination_ngram: int = Field(default=8, ge=2, le=50)
    """Words per n-gram in the search for evaluation prompts in training prompts."""
    validation_fraction: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of prompts, by content hash, kept for validation."""
    rl_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the other prompts, by the content hash of what they ask for, reserved for reinforcement learning, which then uses no
    others; 0 trains both on the same prompts. A prompt memorised in SFT gets the same answer in a whole group, which teaches nothing."""

    rl_sources: tuple[str, ...] = ()
    """The names of sources whose prompts are reserved for reinforcement learning, all but those kept for validation."""

    @model_validator(mode="after")
    def _has_sources_for_rl(self) -> CurateConfig:
        known = [OWN if source.format == OWN else source.name for source in self.sources]  # as rows record them
        if unknown := [name for name in self.rl_sources if name not in known]:
            raise ValueError(f"rl_sources names {unknown[0]!r}, which is no source; expected one of {', '.join(known)}")
        return self

    def fits(self, prompt: str) -> bool:
        """Return whether a prompt is neither too short nor too long."""
        return self.min_chars <= len(prompt) <= self.max_chars
