"""`ascl lineage rows`: the rows from which an artifact was made."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.console import out, print_table, repository_root
from flows.cli.lineage.arguments import SHORT, AsJson, Fetch, Thing, named, print_json, print_line, print_progress, print_unavailable


def rows(
    thing: Thing = "data/models/ifpo",
    rule: Annotated[str | None, typer.Option(help="Only rows with this rule: their trajectory consulted it, or it decides them.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to list.")] = 20,
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """List the rows from which an artifact was made: counts for each data set, then the first rows, their source and why they were kept.

    Examples:  ascl lineage rows release/1 --rule VIO-01   |   ascl lineage rows data/sft/ascl.jsonl --limit 5
    """
    from tasks.lineage.find import find
    from tasks.lineage.rows import upstream_rows

    root = repository_root()
    found = find(root, thing)
    upstream = upstream_rows(root, found, rule, limit=limit, fetch=fetch, on_progress=print_progress)
    if as_json:
        print_json({"path": found.path, "sha256": found.sha256, "rule": rule, **vars(upstream)})
        return
    print_line(named(found))
    sets = [(one.path, one.sha256[:SHORT], one.split, "; ".join(one.uses), one.rows, one.with_rule) for one in upstream.data_sets]
    columns = ["data set", "sha256", "split", "used by", "rows", *([f"with {rule}"] if rule else [])]
    print_table(columns, [cells[: len(columns)] for cells in sets])
    out.print()
    if upstream.rows:
        columns = ["row", "prompt", "rules", "data set", "split", "source", "licence", "generator", "seed", "why kept"]
        keys = ("path", "split", "source", "licence", "generator", "seed", "kept")
        print_table(columns, [[*_identity(row), *(row[key] for key in keys)] for row in upstream.rows])
    elif limit:
        print_line(f"no data: no row of these data sets has {rule}" if rule else "no data: it was made from no data set")
    print_unavailable(upstream.unavailable)


def _identity(row: dict[str, Any]) -> tuple[str, str | None, str | None]:
    prompt = row["prompt_id"] if row["prompt_id"] != row["row_id"] else None
    return row["row_id"], prompt, f"{row['rules_are']} {', '.join(row['rule_ids'])}" if row["rule_ids"] else None
