"""The folder `data/raw` as far as it is known without rules: a first table in it, and the rules that its prompts name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.config.base import parse
from ascl_core.config.own_prompts import SEEDS, SafetySeeds
from ascl_core.data.row import Row
from ascl_core.data.table_files import read_file, tables_in
from ascl_core.errors import DataError

_RULE = "rule_id"


def start_table(folder: Path) -> list[Path]:
    """Write `prompts.csv` with nothing but its header to a folder that holds no file; return what was written."""
    if folder.is_dir() and any(folder.iterdir()):
        return []
    write_text(folder / "prompts.csv", f"prompt,prompt_type,{_RULE}\n")
    return [folder / "prompts.csv"]


def named_rules(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every rule that a prompt of `folder` names, after its file with the seed or the row; `DataError` for a file without prompts."""
    safety = folder / SEEDS[0]
    seeds = parse(SafetySeeds, read_yaml(safety), file=safety).seeds if safety.is_file() else ()
    yield from ((f"{safety}: seeds[{number}]", seed.rule) for number, seed in enumerate(seeds))
    for path in tables_in(folder, SEEDS):
        rows = [Row(values, number, str(path)) for number, values in enumerate(chain.from_iterable(read_file(str(path))), start=1)]
        if not rows:
            raise DataError("has no prompts", file=path, hint="fill it in, or delete it")
        yield from ((f"{path}: row {row.number}", rule) for row in rows if (rule := row.text(_RULE)))
