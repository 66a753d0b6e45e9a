"""`ascl lineage rollouts`: what reinforcement learning sampled, and how it was rewarded."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ascl_core.text import counted, fold_line
from flows.cli.console import out, print_line, print_table, repository_root
from flows.cli.lineage.arguments import SHORT, AsJson, Fetch, Thing, print_json
from tasks.lineage.find import find
from tasks.lineage.rollouts import Rollouts, find_rollouts
from tasks.registry.stages import CHECKPOINT

_BEGINNING = 60
"""As many characters of an answer as a table shows."""
_COLUMNS = ("step", "group", "sample", "prompt", "mode", "rules found", "verdict", "terms", "reward", "weight", "advantage", "answer")


def rollouts(
    thing: Thing = CHECKPOINT,
    rule: Annotated[str | None, typer.Option(help="Only those that found this rule, or whose prompt it decides.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Only those of the prompt with this id, or one that begins so.")] = None,
    step: Annotated[int | None, typer.Option(min=1, help="Only those of this step.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to list.")] = 20,
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """List the rollouts of the reinforcement learning that an artifact comes from: verdict, reward with its terms, weight and advantage.

    --json also has the texts.

    Examples:  ascl lineage rollouts --step 1   |   ascl lineage rollouts release/1 --rule VIO-01   |   --prompt 8e4cdfad --json
    """
    found = find_rollouts(find(repository_root(), thing), rule=rule, prompt=prompt, step=step, limit=limit, fetch=fetch)
    if as_json:
        print_json(vars(found))
        return
    print_line(f"{found.path} in {found.snapshot}, sha256 {found.sha256}")
    print_line(_summary(found))
    if found.rows:
        out.print()
        print_table(_COLUMNS, [_cells(row) for row in found.rows])


def _summary(found: Rollouts) -> str:
    if not found.count:
        return "no data: no rollout is of that step, prompt and rule"
    reward = "no reward" if found.mean_reward is None else f"mean reward {found.mean_reward:.2f}"
    return f"{counted(found.count, 'rollout')}, {found.consulted} consulted, {reward}"


def _cells(row: dict[str, Any]) -> list[str]:
    reward, verdict = row["reward"], f"{row['refusal']}, {row['harm']}" if row["refusal"] else f"invalid: {row['problem']}"
    return [
        *(str(row[name]) for name in ("step", "group", "sample")),
        row["prompt_id"][:SHORT],
        row["mode"],
        ", ".join(f"{rule['id']} {rule['version']}" for rule in row["rules"]),
        verdict,
        ", ".join(f"{name} {value + 0.0:g}" for name, value in row["terms"].items()),  # -0.0 is shown as 0
        "none" if reward is None else f"{reward:.2f}",
        f"{row['weight']:.2f}",
        f"{row['advantage']:.2f}",
        fold_line(row["answer"])[:_BEGINNING],
    ]
