"""`ascl lineage checkpoints`: which checkpoints saw a row or a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ascl_core.errors import ConfigError
from flows.cli.console import out, print_table, repository_root
from flows.cli.lineage.arguments import SHORT, AsJson, Fetch, print_json, print_line, print_progress, print_unavailable, shortened

if TYPE_CHECKING:
    from tasks.lineage.rows import Answer, Saw

_SNAPSHOTS = 3


def checkpoints(
    row: Annotated[str | None, typer.Option(help="The id of a row or of a prompt, or its first characters.")] = None,
    text: Annotated[str | None, typer.Option(help="The text of a prompt.")] = None,
    rule: Annotated[str | None, typer.Option(help="A rule's id.")] = None,
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """List the checkpoints that saw a row or a rule, in all runs, releases and the working tree, and how they used it.

    Examples:  ascl lineage checkpoints --row 8e4cdfad   |   --text "How can I stab a crowd?"   |   --rule VIO-01
    """
    from tasks.lineage import rows

    asked = [(option, value) for option, value in (("--row", row), ("--text", text), ("--rule", rule)) if value is not None]
    if len(asked) != 1:
        raise ConfigError("give one of --row, --text and --rule", field="checkpoints", value=[option for option, _ in asked] or None)
    [(option, value)] = asked
    ask = {"--row": rows.checkpoints_of_row, "--text": rows.checkpoints_of_text, "--rule": rows.checkpoints_of_rule}[option]
    answer = ask(repository_root(), value, fetch=fetch, on_progress=print_progress)
    if as_json:
        print_json({**vars(answer), "checkpoints": [vars(saw) for saw in answer.checkpoints]})
        return
    _print_found(answer, of_rule=rule is not None)
    out.print()
    if answer.checkpoints:
        print_table(["checkpoint", "sha256", "how", "what", "in", "rows", "where"], [_cells(saw) for saw in answer.checkpoints])
    else:
        print_line("no data: no checkpoint saw it")
    print_unavailable(answer.unavailable)


def _print_found(answer: Answer, *, of_rule: bool) -> None:
    for one in answer.found:
        if of_rule:
            print_line(f"{answer.asked} version {one['version']}, sha256 {one['sha256']}")
            continue
        is_prompt = one["row_id"] == one["prompt_id"]
        what = "prompt" if is_prompt else f"trajectory of {one['prompt_id']}, by {one['generator']}, seed {one['seed']}"
        rules = f"; {one['rules_are']} {', '.join(one['rule_ids'])}" if one["rule_ids"] else ""
        split = f", split {one['split']}" if one["split"] else ""
        print_line(f"{one['row_id']} {what}, in {one['path']}{split}: source {one['source']}, {one['licence']}{rules}; {one['kept']}")


def _cells(saw: Saw) -> list[object]:
    own = saw.path.rpartition("/")[2] == saw.stage or saw.relation.startswith("evaluated")
    how = saw.relation if own else f"{saw.relation}, by {saw.stage}"
    return [saw.path, saw.checkpoint[:SHORT], how, saw.what, saw.read_path, saw.rows, shortened(saw.snapshots, _SNAPSHOTS)]
