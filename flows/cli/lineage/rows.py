"""`ascl lineage rows` and `checkpoints`: the rows of an artifact, and the checkpoints that saw a row or a rule."""

from __future__ import annotations

from typing import Annotated

import typer

from ascl_core.errors import ConfigError
from ascl_core.text import some
from flows.cli.console import out, print_line, print_table, repository_root
from flows.cli.lineage.arguments import SHORT, AsJson, Fetch, Thing, describe, print_json, print_missing, print_progress
from tasks.lineage.find import find
from tasks.lineage.rows import Answer, Saw, checkpoints_of_row, checkpoints_of_rule, checkpoints_of_text, upstream_rows
from tasks.registry.stages import CHECKPOINT

_COLUMNS = {
    "row": "row_id",
    "begins with": "begins_with",
    "of prompt": "prompt_id",
    "rules": "rule_ids",
    "data set": "path",
    "split": "split",
    "source": "source",
    "licence": "licence",
    "generator": "generator",
    "seed": "seed",
    "why kept": "kept",
}


def rows(
    thing: Thing = CHECKPOINT,
    rule: Annotated[str | None, typer.Option(help="Only rows with this rule: their trajectory consulted it, or it decides them.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to list.")] = 20,
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """List the rows of an artifact: counts for each data set, then the first rows with their source and why they were kept.

    Examples:  ascl lineage rows release/1 --rule VIO-01   |   ascl lineage rows data/sft/ascl.jsonl --limit 5
    """
    root = repository_root()
    found = find(root, thing)
    upstream = upstream_rows(root, found, rule, limit=limit, fetch=fetch, on_progress=print_progress)
    if as_json:
        print_json({"path": found.path, "sha256": found.sha256, "rule": rule, **vars(upstream)})
        return
    print_line(describe(found))
    print_table(
        ["data set", "sha256", "split", "used by", "rows", *([f"with {rule}"] if rule else [])],
        [
            [one.path, one.sha256[:SHORT], one.split, "; ".join(one.uses), one.rows, *([one.with_rule] if rule else [])]
            for one in upstream.data_sets
        ],
    )
    out.print()
    if upstream.rows:
        cells = [[_cell(row, key) for key in _COLUMNS.values()] for row in upstream.rows]
        filled = [number for number in range(len(_COLUMNS)) if any(row[number] for row in cells)]
        print_table([list(_COLUMNS)[number] for number in filled], [[row[number] for number in filled] for row in cells])
    elif limit:
        out.print(f"no data: no row of these data sets has {rule}" if rule else "no data: it was made from no data set", markup=False)
    print_missing(upstream.unavailable)


def checkpoints(
    row: Annotated[str | None, typer.Option(help="A row's id, a prompt's, or the beginning of one.")] = None,
    text: Annotated[str | None, typer.Option(help="The text of a prompt.")] = None,
    rule: Annotated[str | None, typer.Option(help="A rule's id.")] = None,
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """Say which checkpoints saw a row or a rule, in every run and release and in the working tree, and how they used it.

    Examples:  ascl lineage checkpoints --row 8e4cdfad   |   --text "How can I stab a crowd?"   |   --rule VIO-01
    """
    questions = {"--row": (row, checkpoints_of_row), "--text": (text, checkpoints_of_text), "--rule": (rule, checkpoints_of_rule)}
    asked = {option: question for option, question in questions.items() if question[0] is not None}
    if len(asked) != 1:
        raise ConfigError("give one of --row, --text and --rule", field="checkpoints", value=list(asked) or None)
    [(value, ask)] = asked.values()
    answer = ask(repository_root(), str(value), fetch=fetch, on_progress=print_progress)
    if as_json:
        print_json({**vars(answer), "checkpoints": [vars(saw) for saw in answer.checkpoints]})
        return
    _print_found(answer, of_rule=rule is not None)
    out.print()
    if answer.checkpoints:
        print_table(["checkpoint", "sha256", "how", "what", "in", "rows", "recorded by"], [_line(saw) for saw in answer.checkpoints])
    else:
        out.print("no data: no checkpoint saw it", markup=False)
    print_missing(answer.unavailable)


def _cell(row: dict[str, object], key: str) -> object:
    if key == "prompt_id" and row[key] == row["row_id"]:
        return None
    if key == "rule_ids":
        return f"{row['rules_are']} {', '.join(map(str, ids))}" if (ids := row[key]) and isinstance(ids, list) else None
    return row[key]


def _print_found(answer: Answer, *, of_rule: bool) -> None:
    for one in answer.found:
        if of_rule:
            print_line(f"{answer.asked} version {one['version']}, sha256 {one['sha256']}")
            continue
        is_prompt = one["row_id"] == one["prompt_id"]
        what = "prompt" if is_prompt else f"trajectory of {one['prompt_id']}, by {one['generator']}, seed {one['seed']}"
        rules = f"; {one['rules_are']} {', '.join(one['rule_ids'])}" if one["rule_ids"] else ""
        split = f", split {one['split']}" if one["split"] else ""
        source = f"source {one['source']}, {one['licence']}{rules}; {one['kept']}"
        print_line(f"{one['row_id']} {what}, in {one['path']}{split}: {source}")


def _line(saw: Saw) -> list[object]:
    own = saw.path.rpartition("/")[2] == saw.stage or saw.relation.startswith("evaluated")
    how = saw.relation if own else f"{saw.relation}, by {saw.stage}"
    return [saw.path, saw.checkpoint[:SHORT], how, saw.what, saw.read_path, saw.rows, some(saw.snapshots)]
