"""`ascl compare`: ASCL + IFPO beside its baselines, over several seeds, on one page."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.console import out, repository_root, shown
from flows.cli.parameters import Profile, Settings

Seeds = Annotated[str, typer.Option(help="Seeds, separated by commas; every arm is trained once with each.")]
Arms = Annotated[list[str] | None, typer.Option("--arm", "-a", metavar="ARM", help="Only this arm; may be repeated.")]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(compare)


def compare(
    profile: Profile = None,
    setting: Settings = None,
    seeds: Seeds = "0,1,2",
    arm: Arms = None,
    changed_rules: Annotated[bool, typer.Option(help="Ask again after rules were turned round, with no training.")] = True,
    parallel: Annotated[int | None, typer.Option(min=1, max=16, help="Stages at a time; as many as the cores carry if not given.")] = None,
) -> None:
    """Train every arm with every seed and compare them on one page; what they have in common is made once.

    Without --arm all that the profile can train are compared: `ascl arms list` shows them.

    Examples:  ascl compare   |   ascl compare --seeds 0,1 --arm sft --arm grpo --arm ifpo   |   ascl compare --profile small --seeds 0
    """
    from ascl_core.arms import get_arm
    from ascl_core.errors import ConfigError
    from flows.cli.watching import watched
    from tasks.host.environment import prepare

    named = [get_arm(name).name for name in arm or ()]  # before a server starts
    try:
        numbers = [int(part) for part in seeds.split(",")]
    except ValueError:
        raise ConfigError("expected whole numbers separated by commas", field="--seeds", value=seeds, hint="--seeds 0,1,2") from None
    root = repository_root()
    prepare(root)
    with watched(root):
        from flows.compare import compare as flow

        result = flow(profile, list(setting or ()), seeds=numbers, arms=named, changed_rules=changed_rules, max_parallel=parallel)
    ran = sum(outcome.action == "ran" for outcome in result.outcomes)
    out.print(f"\n{ran} of {len(result.outcomes)} stages ran, the others were up to date")
    out.print(f"comparison: {shown(result.page, root)}", soft_wrap=True)
