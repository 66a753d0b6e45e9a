"""Where prompts come from: the same description for training sources and evaluation suites."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config
from ascl_core.vocabulary import PromptType


class SourceConfig(Config):
    """One source of prompts."""

    name: str = Field(default="own", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """A short name; it is written into every row."""
    format: Literal["own", "rows", "star1", "mitre_frr", "gsm8k", "xstest", "mmlu_pro"] = "own"
    """`own` is this repository's seeds; `rows` any table with the columns below; the others are the public files' own shapes."""
    path: str | None = None
    """A local file or folder, an object (`s3://bucket/key`) or a hub id (`hub:owner/name`); `~` and `$VARIABLES` are filled in."""
    revision: str | None = None
    """The pinned revision of a hub id."""
    hub_split: str = "train"
    """The split of a hub id."""
    licence: str = "Apache-2.0"
    """SPDX id of the source's licence."""
    prompt_column: str = "prompt"
    """`rows`: the column with the prompt."""
    answer_column: str | None = None
    """`rows`: the column with the gold answer."""
    prompt_type: PromptType | None = None
    """`rows`: the type of every prompt, unless the table has a `prompt_type` column."""
    max_rows: int | None = Field(default=None, ge=1)
    """Take this many rows, chosen by content hash; None takes all."""
