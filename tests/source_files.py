"""Files of prompts, and the prompts that are read from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ascl_core.config.sources import SourceConfig
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.sources import load_source
from tests.builders import make_corpus

CORPUS = make_corpus()


def write(path: Path, content: Any) -> Path:
    """The content as that kind of file: rows as a table, text and bytes as they are."""
    if isinstance(content, list) and path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(content), path)
    elif isinstance(content, list) and path.suffix == ".csv":
        pd.DataFrame(content).to_csv(path, index=False)
    elif isinstance(content, list):
        lines = [json.dumps(row) for row in content]
        path.write_text(json.dumps(content) if path.suffix == ".json" else "\n\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(path: Path | str, **options: Any) -> list[RawPrompt]:
    """The prompts of one source, called `outside`."""
    values = {"name": "outside", "format": "rows", "path": str(path), "licence": "MIT", **options}
    return load_source(SourceConfig.model_validate(values), Path("nowhere"), CORPUS)
