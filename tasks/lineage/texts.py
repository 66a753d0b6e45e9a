"""The beginnings of the texts of rows, read from the bytes of their data set."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tasks.lineage.database import database, files, rows_of

TEXT_CHARACTERS = 100
"""Of each prompt."""
_PROMPTS = "SELECT id AS row_id, id AS prompt_id, min(left(prompt, $most)) AS text FROM read_parquet($file) GROUP BY ALL"
_TRAJECTORIES = """
SELECT id AS row_id, prompt_id, min(left(list_filter(messages, lambda m: m.role = 'user')[1].content, $most)) AS text
FROM read_json($file, format = 'newline_delimited',
    columns = {id: 'VARCHAR', prompt_id: 'VARCHAR', messages: 'STRUCT("role" VARCHAR, content VARCHAR)[]'})
GROUP BY ALL
"""


def texts_of(path: str) -> str:
    """Return the query of the data set at that path, in `$file`: row id, prompt id, and the first `$most` characters of the prompt."""
    return _TRAJECTORIES if path.endswith(".jsonl") else _PROMPTS


def beginnings(root: Path, file: Path, path: str, row_ids: Collection[str]) -> dict[str, str]:
    """Return how the prompts of these rows begin; `file` has the bytes of the data set at `path`."""
    query = f"SELECT row_id, text FROM ({texts_of(path)}) WHERE list_contains($ids, row_id)"
    with database(root, also=[file]) as connection:
        found = rows_of(connection, query, {"file": files([file]), "most": TEXT_CHARACTERS, "ids": sorted(row_ids)})
    return {row["row_id"]: row["text"] for row in found}
