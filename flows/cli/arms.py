"""`ascl arms`: the recipes that `ascl compare` sets side by side."""

from __future__ import annotations

import typer

from ascl_core.arms import ARMS, page
from flows.cli.console import Check, print_table, repository_root, update_page

app = typer.Typer(help="List and document the arms of the comparison.", no_args_is_help=True)


@app.command(name="list")
def list_arms() -> None:
    """List the arms: where each comes from, and the parameters in which it differs from the profile.

    Example:  ascl arms list
    """
    print_table(("arm", "label", "from", "differs by"), [(arm.name, arm.label, arm.source, " ".join(arm.settings)) for arm in ARMS])


@app.command()
def docs(check: Check = False) -> None:
    """Write docs/arms.md from the table of arms.

    Example:  ascl arms docs --check
    """
    repository_root()
    update_page("arms.md", page(), check=check, command="ascl arms docs")
