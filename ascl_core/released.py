"""The newest release, as the folder `data/released` holds it: a copy that git ignores.

`release.json` names the tag, `results.parquet` is its evaluation, `corpora/` holds the rules that it was trained and evaluated with, by
use, and `index/` the index of its evaluation. Before the first release the folder holds only its `.gitignore`, or a `release.json`
whose tag is null.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, sha256_tree, tree_digest
from ascl_core.errors import DataError

RELEASE_FILE = "release.json"
PLACEHOLDER = ".gitignore"
"""The file by which git keeps the empty folder."""
RELEASE_RESULTS = "results.parquet"
RELEASE_CORPORA = "corpora"
RELEASE_INDEX = "index"
MODEL_CARD, MODEL_SIGNATURE, MODEL_KEY = "README.md", "model.sig", "model.pub"
"""What `ascl release fetch` puts beside the weights: the card with the figures, the weights' signature, and the key that checks it."""

LICENCE = "LICENSE.txt"
"""The file with the licence of a checkpoint."""


def checkpoint_digest(folder: Path) -> str:
    """Return the SHA-256 of a checkpoint's folder, without what `ascl release fetch` puts beside the weights."""
    beside = (MODEL_CARD, MODEL_SIGNATURE, MODEL_KEY)
    return tree_digest({name: sha256 for name, sha256 in sha256_tree(folder).items() if name not in beside})


def read_release(folder: Path) -> dict[str, Any]:
    """Return the record of the newest release; its tag is None before the first one.

    `DataError` if the folder is missing, holds files without a record, or a record without a tag: to read that as "nothing is
    released" would let the gate compare with nothing.
    """
    path = folder / RELEASE_FILE
    if folder.is_dir() and all(file.name == PLACEHOLDER for file in folder.iterdir()):
        return {"tag": None}
    if not path.is_file():
        raise DataError("no record of the newest release", file=path, hint="ascl release sync")
    values = read_json(path)
    if not isinstance(values, dict) or "tag" not in values or not isinstance(values["tag"], str | None):
        raise DataError(
            "expected an object with the tag of the release, or null for none", file=path, field="tag", hint="ascl release sync"
        )
    return values
