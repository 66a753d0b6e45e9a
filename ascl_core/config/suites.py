"""Parameters of `build_suites`: the suites that checkpoints are evaluated on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import Field, field_validator

from ascl_core.catalogue.dataset import Dataset, Kind
from ascl_core.config.base import Config
from ascl_core.config.sources import SourceConfig, public_path

FORGED_RULES, DISTRACTORS = "forged_rules", "distractors"
"""Own prompts under attack, and with noise."""
OWN_SUITES = ("own-safety", "own-over-refusal", "own-sensitive", "own-utility", "own-dual-use", FORGED_RULES, DISTRACTORS)
"""The names of the project's own suites, which are reserved."""


class SuiteConfig(SourceConfig):
    """One external evaluation suite: a source with a name and a kind. A public suite is read from the hub by default."""

    kind: Kind = "utility"
    """What the suite measures, for the manifest; metrics depend on the type of each prompt."""
    max_prompts: int | None = Field(default=None, ge=1)
    """The most prompts, chosen by content hash; None uses all."""
    samples: int = Field(default=1, ge=1, le=64)
    """Responses per prompt if `evaluate.sampling` is `catalogue`; by default the catalogue's number."""
    required: bool = False
    """Fail if the suite is missing; otherwise it is reported as missing and never scored as 0."""

    @classmethod
    def _default_path(cls, name: str, known: Dataset) -> str | None:
        return public_path(name, known)

    @classmethod
    def _known(cls, known: Dataset, path: str | None) -> dict[str, Any]:
        split = known.hub.split if known.hub else next(iter(known.files))
        return {**super()._known(known, path), "kind": known.kind, "hub_split": split, "samples": known.samples}


class SuitesConfig(Config):
    """The project's own suites and the external ones."""

    own_fraction: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of the project's own prompts, by content hash, that is held out as the own suites; 0 evaluates only on external suites."""
    external: tuple[SuiteConfig, ...] = ()
    """Suites from files, folders, `s3://` paths or hub ids."""

    @field_validator("external")
    @classmethod
    def _names_differ(cls, values: tuple[SuiteConfig, ...]) -> tuple[SuiteConfig, ...]:
        counts = Counter(suite.name for suite in values)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"two suites have the name {twice[0]!r}: give one of them a different `name`")
        if own := [name for name in counts if name in OWN_SUITES]:
            raise ValueError(f"the name {own[0]!r} is reserved for an own suite: choose a different `name`")
        return values
