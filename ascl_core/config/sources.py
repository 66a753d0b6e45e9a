"""Where prompts come from: the same description for training sources and evaluation suites."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from ascl_core.catalogue import dataset, names, nearest
from ascl_core.catalogue.dataset import Dataset
from ascl_core.config.base import Config, without_credentials
from ascl_core.vocabulary import PromptType

OWN, ROWS = "own", "rows"


class SourceConfig(Config):
    """One source of prompts; what is not given of a public data set, the catalogue says."""

    name: str = Field(default=OWN, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """A short name; it is written into every row. The format's, if it is not given."""
    format: str = OWN
    """`own` is this repository's seeds, `rows` any table with the columns below; else a public data set, by its name in docs/suites.md."""
    path: str | None = None
    """A local file or folder, an object (`s3://bucket/key`) or a hub id (`hub:owner/name`); `~` and `$VARIABLES` are filled in."""
    revision: str | None = None
    """The pinned revision of a hub id; it must have one. A data set that is read from its own page has that of the catalogue."""
    hub_config: str | None = None
    """The configuration of a hub id."""
    hub_split: str = "train"
    """The split of a hub id, or of a folder with the files of a public data set."""
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

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """The name from the format, and what the catalogue knows of it, under what is given."""
        name = values.get("format") if isinstance(values, dict) else None
        if name not in names():
            return {"name": name, **values} if name == ROWS else values
        known = dataset(name)
        path = values.get("path") or cls._default_path(known)
        return {"name": name, **cls._known(known, path), **{key: value for key, value in values.items() if value is not None}}

    @field_validator("path")
    @classmethod
    def _shows_no_credentials(cls, value: str | None) -> str | None:
        return without_credentials(value)

    @field_validator("format")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in (OWN, ROWS, *names()):
            raise ValueError(f"no such format: {nearest(value, (OWN, ROWS))}")
        return value

    @classmethod
    def _default_path(cls, known: Dataset) -> str | None:
        """Where a data set is read from if no path is given: a source of training prompts from its own page, a suite from nowhere."""
        return hub_path(known) if known.use == "training" else None

    @classmethod
    def _known(cls, known: Dataset, path: str | None) -> dict[str, Any]:
        """What the catalogue says of a source; the pinned revision belongs to the data set's own page, and to no copy of it."""
        values: dict[str, Any] = {"path": path, "licence": known.licence}
        if known.hub is not None and path == hub_path(known):
            values |= {"revision": known.hub.revision, "hub_config": known.hub.config}
        return values


def hub_path(known: Dataset) -> str | None:
    """The path of a data set on the hub, if it has a page there."""
    return f"hub:{known.hub.id}" if known.hub else None
