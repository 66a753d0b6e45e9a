"""What is released, as the folder `data/released` says it: a copy of the newest release, which git ignores.

`release.json` names the tag, `results.parquet` is its evaluation, `corpora/` holds the rules that it was made with, by what they were
used for, and `index/` the index in which they were looked up. Where nothing is released the folder is empty but for its own
`.gitignore`, or `release.json` has the tag null.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json
from ascl_core.errors import DataError

RELEASE_FILE = "release.json"
PLACEHOLDER = ".gitignore"
"""The file by which git keeps the empty folder; it says nothing about a release."""
RELEASE_RESULTS = "results.parquet"
RELEASE_CORPORA = "corpora"
RELEASE_INDEX = "index"


def read_release(folder: Path) -> dict[str, Any]:
    """Return the record of what is released; its tag is None where nothing is.

    `DataError` where the folder is missing, lacks the record of files that it holds, or has one without a tag: to read one of these as
    "nothing is released" would let the gate compare with nothing.
    """
    path = folder / RELEASE_FILE
    if folder.is_dir() and all(file.name == PLACEHOLDER for file in folder.iterdir()):
        return {"tag": None}
    if not path.is_file():
        raise DataError("there is no record of what is released", file=path, hint="ascl release sync")
    values = read_json(path)
    if not isinstance(values, dict) or "tag" not in values or not isinstance(values["tag"], str | None):
        raise DataError(
            "expected an object with the tag of the release, or null for none", file=path, field="tag", hint="ascl release sync"
        )
    return values
