"""`ascl lineage checkpoints`: which checkpoints saw a row or a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ascl_core.errors import ConfigError
from flows.cli.console import out, print_table, repository_root
from flows.cli.lineage.arguments import AsJson, Fetch, print_json, say_made, say_not_at_hand

if TYPE_CHECKING:
    from tasks.lineage.rows import Answer, Saw

_SHORT = 12
_PLACES = 3


def checkpoints(
    row: Annotated[str | None, typer.Option(help="A row's id, a prompt's, or the beginning of one.")] = None,
    text: Annotated[str | None, typer.Option(help="The text of a prompt.")] = None,
    rule: Annotated[str | None, typer.Option(help="A rule's id.")] = None,
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """Say which checkpoints saw a row or a rule, in every run and release and in the working tree, and what it was to them.

    Examples:  ascl lineage checkpoints --row 8e4cdfad   |   --text "How can I stab a crowd?"   |   --rule VIO-01
    """
    from tasks.lineage import rows

    asked = [(option, value) for option, value in (("--row", row), ("--text", text), ("--rule", rule)) if value is not None]
    if len(asked) != 1:
        raise ConfigError("give one of --row, --text and --rule", field="checkpoints", value=[option for option, _ in asked] or None)
    option, value = asked[0]
    ask = {"--row": rows.checkpoints_of_row, "--text": rows.checkpoints_of_text, "--rule": rows.checkpoints_of_rule}[option]
    answer = ask(repository_root(), value, fetch=fetch, on_progress=say_made)
    if as_json:
        print_json({**vars(answer), "checkpoints": [vars(saw) for saw in answer.checkpoints]})
        return
    _print_found(answer, of_rule=rule is not None)
    out.print()
    if answer.checkpoints:
        print_table(["checkpoint", "sha256", "how", "what", "in", "rows", "where"], [_line(saw) for saw in answer.checkpoints])
    else:
        out.print("no data: no checkpoint saw it", markup=False)
    say_not_at_hand(answer.not_at_hand)


def _print_found(answer: Answer, *, of_rule: bool) -> None:
    if of_rule:
        for one in answer.found:
            out.print(f"{answer.asked} version {one['version']}, sha256 {one['sha256']}", soft_wrap=True, markup=False)
        return
    for one in answer.found:
        what = (
            "prompt"
            if one["row_id"] == one["prompt_id"]
            else f"trajectory of {one['prompt_id']}, by {one['generator']}, seed {one['seed']}"
        )
        rules = f"; {one['rules_are']} {', '.join(one['rule_ids'])}" if one["rule_ids"] else ""
        split = f", split {one['split']}" if one["split"] else ""
        out.print(
            f"{one['row_id']} {what}, in {one['path']}{split}: source {one['source']}, {one['licence']}{rules}; {one['kept']}",
            soft_wrap=True,
            markup=False,
        )


def _line(saw: Saw) -> list[object]:
    own = saw.path.rpartition("/")[2] == saw.stage or saw.relation.startswith("evaluated")
    how = saw.relation if own else f"{saw.relation}, by {saw.stage}"
    return [saw.path, saw.checkpoint[:_SHORT], how, saw.what, saw.read_path, saw.rows, _shortened(saw.places)]


def _shortened(places: Sequence[str]) -> str:
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    return ", ".join(places[:_PLACES]) + more
