"""Parameters of a source of prompts, for training and for evaluation suites."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from ascl_core.catalogue import dataset, names, nearest
from ascl_core.catalogue.dataset import Dataset
from ascl_core.config.base import Config, Url
from ascl_core.vocabulary import PromptType

OWN, ROWS = "own", "rows"


class SourceConfig(Config):
    """One source of prompts; for a public data set the catalogue supplies the fields that are not given."""

    name: str = Field(default=OWN, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """A short name that every row records; the format's name by default."""
    format: str = OWN
    """`own` is what `data/raw` holds, `rows` any table with the columns of docs/prompts.md; else a public data set, by its name in
    docs/suites.md."""
    path: Url | None = None
    """A local file or folder, an object (`s3://bucket/key`) or a hub id (`hub:owner/name`); `~` and `$VARIABLES` are expanded."""
    revision: str | None = None
    """The pinned revision, required for a hub id; a catalogued data set has the catalogue's by default."""
    hub_config: str | None = None
    """The configuration of a hub id."""
    hub_split: str = "train"
    """The split of a hub id, or of a folder with a public data set's files."""
    licence: str = "Apache-2.0"
    """SPDX id of the source's licence."""
    prompt_column: str = "prompt"
    """`rows`: the column with the prompt."""
    answer_column: str | None = None
    """`rows`: the column with the gold answer."""
    prompt_type: PromptType | None = None
    """`rows`: the type of every prompt, unless the table has a `prompt_type` column."""
    max_rows: int | None = Field(default=None, ge=1)
    """The most rows, chosen by content hash; None uses all."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Fill in the name of the format, and the catalogue's values where none are given."""
        name = values.get("format") if isinstance(values, dict) else None
        if name not in names():
            return {"name": name, **values} if name == ROWS else values
        known = dataset(name)
        path = values.get("path") or cls._default_path(name, known)
        return {"name": name, **cls._known(known, path), **{key: value for key, value in values.items() if value is not None}}

    @property
    def data_set(self) -> str:
        """Return the name of the data set: the source's own name if its format is `rows`, and else its format."""
        return self.name if self.format == ROWS else self.format

    @property
    def is_own(self) -> bool:
        """Whether people wrote it for these rules, unlike a public data set."""
        return self.format in (OWN, ROWS)

    @field_validator("format")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in (OWN, ROWS, *names()):
            raise ValueError(f"no such format: {nearest(value, (OWN, ROWS))}")
        return value

    @classmethod
    def _default_path(cls, name: str, known: Dataset) -> str | None:
        """Return the default path of a data set: that of a source of training prompts, None for a suite."""
        return public_path(name, known) if known.use == "training" else None

    @classmethod
    def _known(cls, known: Dataset, path: str | None) -> dict[str, Any]:
        """Return the catalogue's values for a source; the pinned revision applies to the data set's hub page only, not to a copy."""
        values: dict[str, Any] = {"path": path, "licence": known.licence}
        if known.hub is not None and path == hub_path(known):
            values |= {"revision": known.hub.revision, "hub_config": known.hub.config}
        return values


def public_path(name: str, known: Dataset) -> str | None:
    """Return the path of a data set on the hub, or of its downloaded files if it has no page there; None if it has neither."""
    return hub_path(known) or (f"$ASCL_EXTERNAL_DATA/{known.folder or name}" if known.downloads else None)


def hub_path(known: Dataset) -> str | None:
    """Return the path of a data set on the hub, if it has a page there."""
    return f"hub:{known.hub.id}" if known.hub else None
