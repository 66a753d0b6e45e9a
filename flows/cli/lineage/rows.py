"""`ascl lineage rows`: the rows behind an artifact."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.console import out, print_table, repository_root
from flows.cli.lineage.arguments import AsJson, Fetch, Thing, print_json, say_made, say_not_at_hand

_SHORT = 12


def rows(
    thing: Thing = "data/models/ifpo",
    rule: Annotated[str | None, typer.Option(help="Only rows with this rule: their trajectory consulted it, or it decides them.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to list.")] = 20,
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """List the rows behind an artifact: counts for each data set, then the first rows with where they are from and why they were kept.

    Examples:  ascl lineage rows release/1 --rule VIO-01   |   ascl lineage rows data/sft/ascl.jsonl --limit 5
    """
    from tasks.lineage.find import find
    from tasks.lineage.rows import rows_behind

    root = repository_root()
    found = find(root, thing)
    behind = rows_behind(root, found, rule, limit=limit, fetch=fetch, on_progress=say_made)
    if as_json:
        print_json({"path": found.path, "sha256": found.sha256, "rule": rule, **vars(behind)})
        return
    out.print(f"{found.path} in {found.place.name}, sha256 {found.sha256}", soft_wrap=True, markup=False)
    print_table(
        ["data set", "sha256", "split", "used by", "rows", *([f"with {rule}"] if rule else [])],
        [
            [one.path, one.sha256[:_SHORT], one.split, "; ".join(one.uses), one.rows, *([one.with_rule] if rule else [])]
            for one in behind.data_sets
        ],
    )
    out.print()
    if behind.rows:
        print_table(
            ["row", "prompt", "rules", "data set", "split", "source", "licence", "generator", "seed", "why kept"],
            [
                [
                    row["row_id"],
                    row["prompt_id"] if row["prompt_id"] != row["row_id"] else None,
                    f"{row['rules_are']} {', '.join(row['rule_ids'])}" if row["rule_ids"] else None,
                    row["path"],
                    row["split"],
                    row["source"],
                    row["licence"],
                    row["generator"],
                    row["seed"],
                    row["kept"],
                ]
                for row in behind.rows
            ],
        )
    elif limit:
        out.print(f"no data: no row of these data sets has {rule}" if rule else "no data: no data set is behind it", markup=False)
    say_not_at_hand(behind.not_at_hand)
