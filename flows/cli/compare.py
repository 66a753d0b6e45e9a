"""`ascl compare`: ASCL + IFPO beside its baselines, over several seeds, on one page."""

from __future__ import annotations

from typing import Annotated

import typer

from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.errors import ConfigError
from flows.cli.console import print_line, print_ran, repository_root, shown
from flows.cli.parameters import Profile, Settings
from flows.cli.pipeline import Parallel
from flows.cli.watching import watched
from tasks.execution.comparison import arms_named
from tasks.host.environment import prepare_environment
from tasks.registry.parameters import planned_values
from tasks.registry.paths import PARAMETERS

Seeds = Annotated[str, typer.Option(help="Seeds, separated by commas; every arm is trained once with each.")]
Arms = Annotated[list[str] | None, typer.Option("--arm", "-a", metavar="ARM", help="Only this arm; may be repeated.")]


def compare(
    profile: Profile = None,
    setting: Settings = None,
    seeds: Seeds = "0,1,2",
    arm: Arms = None,
    changed_rules: Annotated[bool, typer.Option(help="Evaluate once more under changed rules, without training.")] = True,
    parallel: Parallel = None,
) -> None:
    """Train every arm with every seed and compare them on one page; what they have in common is made once.

    Without --arm, all arms that the profile can train are compared: `ascl arms list` shows them.

    Examples:  ascl compare   |   ascl compare --seeds 0,1 --arm sft --arm grpo --arm ifpo   |   ascl compare --profile small --seeds 0
    """
    try:
        numbers = [int(part) for part in seeds.split(",")]
    except ValueError:
        raise ConfigError("expected whole numbers separated by commas", field="--seeds", value=seeds, hint="--seeds 0,1,2") from None
    root, settings = repository_root(), list(setting or ())
    params = parse(Params, planned_values(root, profile, settings), file=PARAMETERS)
    named = [one.name for one in arms_named(arm or (), params)] if arm else []  # before a server starts
    prepare_environment(root)
    with watched(root):
        from flows.compare import compare as flow

        result = flow(profile, settings, numbers, named, changed_rules, parallel)
    print_ran([outcome.action for outcome in result.outcomes])
    print_line(f"comparison: {shown(result.page, root)}")
