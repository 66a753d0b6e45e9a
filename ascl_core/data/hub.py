"""Reading a data set from the hub: one pinned revision, one configuration, one split."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ascl_core.catalogue import dataset, names
from ascl_core.catalogue.dataset import Hub
from ascl_core.config.sources import SourceConfig
from ascl_core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def read_hub(source: SourceConfig, name: str, columns: Collection[str] | None, batch_rows: int) -> Iterator[pd.DataFrame]:
    """The split as tables of some rows each, of these columns where it has them; `DataError` says what to check.

    A hub id without a revision is refused: what it names today is something else tomorrow.
    """
    known = _known(source, name)
    if source.revision is None:
        hint = "give `revision`: the commit that the page of the data set shows, or download it and give the path"
        raise DataError("hub id without a pinned revision", file=name, field=f"source {source.name}", hint=hint)
    data = _load(source, name, known)
    if columns is not None:
        data = data.select_columns([column for column in data.column_names if column in columns])
    return iter(data.to_pandas(batch_size=batch_rows, batched=True))


def _known(source: SourceConfig, name: str) -> Hub | None:
    """What the catalogue says of the hub id, if it is the data set's own."""
    hub = dataset(source.format).hub if source.format in names() else None
    return hub if hub is not None and hub.id == name else None


def _load(source: SourceConfig, name: str, known: Hub | None) -> Any:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    options = known.read if known else {}
    try:
        return load_dataset(name, source.hub_config, split=source.hub_split, revision=source.revision, **options)
    except (OSError, ValueError, DatasetsError) as error:
        raise DataError(f"cannot be loaded from the hub: {error}", file=name, field=f"source {source.name}", hint=_hint(known)) from error


def _hint(known: Hub | None) -> str:
    if known and known.gated:
        return "it is gated: accept its terms on its page, and set HF_TOKEN; or give a local path"
    return "check the id, the configuration, the split and the network, or give a local path"
