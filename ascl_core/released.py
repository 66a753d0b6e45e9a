"""What is released, as `data/released` says it; git versions the folder, and an approved release alone writes it.

`release.json` names the tag, or null where nothing is released; `results.parquet` is its evaluation, and `corpora/` holds the
rules that it was made with, by what they were used for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json
from ascl_core.errors import DataError

RELEASE_FILE = "release.json"
RELEASE_RESULTS = "results.parquet"
RELEASE_CORPORA = "corpora"


def read_release(folder: Path) -> dict[str, Any]:
    """What is released; a file that does not say is an error, as without it nothing would be compared."""
    path = folder / RELEASE_FILE
    values = read_json(path)
    if not isinstance(values, dict) or "tag" not in values or not isinstance(values["tag"], str | None):
        raise DataError(
            "expected an object with the tag of the release, or null for none", file=path, field="tag", mend=f"git checkout -- {path}"
        )
    return values
