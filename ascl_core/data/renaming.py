"""New ids for rules in the files that name them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ascl_core.artifacts import read_yaml, write_json, write_jsonl
from ascl_core.config.own_prompts import SEEDS
from ascl_core.data.table_files import read_file, tables_in


def rename_rules(folder: Path, renamed: Mapping[str, str]) -> None:
    """Rewrite the seeds and the tables of own prompts in `folder` with the new ids of renamed rules; tables become JSON lines."""
    if (safety := folder / SEEDS[0]).is_file():
        values = read_yaml(safety)
        write_json(safety, {**values, "seeds": [{**seed, "rule": renamed.get(seed["rule"], seed["rule"])} for seed in values["seeds"]]})
    for path in tables_in(folder, SEEDS):
        rows = [row for batch in read_file(str(path)) for row in batch]
        named = [{**row, "rule_id": renamed.get(str(row["rule_id"]), row["rule_id"])} if row.get("rule_id") else row for row in rows]
        write_jsonl(path.with_name(f"{path.name}.jsonl"), named)
        path.unlink()
