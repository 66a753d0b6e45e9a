"""Parameters of `build_suites`: what the checkpoint is evaluated on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config
from ascl_core.config.sources import SourceConfig


class SuiteConfig(SourceConfig):
    """One external evaluation suite: a source with a name and a kind."""

    kind: Literal["safety", "over_refusal", "utility"] = "utility"
    """What it is there for, as the manifest says it; metrics go by the type of each prompt."""
    max_prompts: int | None = Field(default=None, ge=1)
    """Take this many prompts, chosen by content hash; None takes all."""
    required: bool = False
    """Fail where it is missing; otherwise it is reported as missing and never scored as 0."""


class SuitesConfig(Config):
    """The project's own suites and the external ones."""

    own_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    """Share of the project's own prompts, by content hash, that is held out as the own suites."""
    external: tuple[SuiteConfig, ...] = ()
    """Suites from files, folders, `s3://` paths or hub ids."""
