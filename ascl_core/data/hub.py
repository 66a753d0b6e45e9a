"""Reading one split of a data set on the hub, at a pinned revision."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ascl_core.catalogue import dataset, names
from ascl_core.config.sources import SourceConfig
from ascl_core.data.locations import pin_hint
from ascl_core.data.table_files import python_rows
from ascl_core.errors import DataError


def read_hub(source: SourceConfig, name: str, columns: Collection[str] | None, batch_rows: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the split as batches of `batch_rows` rows, with those of `columns` that it has; `DataError` says what to check.

    A hub id without a revision is refused, because what it names can change.
    """
    field = f"source {source.name}"
    hub = dataset(source.format).hub if source.format in names() else None
    known = hub if hub is not None and hub.id == name else None
    if source.revision is None:
        raise DataError("hub id without a pinned revision", file=name, field=field, hint=pin_hint(source))
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    options: dict[str, Any] = dict(known.read) if known else {}
    try:
        data = load_dataset(name, source.hub_config, split=source.hub_split, revision=source.revision, **options)
    except (OSError, ValueError, DatasetsError) as error:
        hint = "check the id, the configuration, the split and the network, or give a local path"
        if known and known.gated:
            hint = "it is gated: accept its terms on its page, and set HF_TOKEN; or give a local path"
        raise DataError(f"cannot be loaded from the hub: {error}", file=name, field=field, hint=hint) from error
    if columns is not None:
        data = data.select_columns([column for column in data.column_names if column in columns])
    return (python_rows(table) for table in data.with_format("arrow").iter(batch_rows))
