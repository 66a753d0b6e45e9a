"""`ascl arms`: the recipes that `ascl compare` sets side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.console import keep_page, print_table, repository_root

app = typer.Typer(help="List and document the arms of the comparison.", no_args_is_help=True)


@app.command(name="list")
def list_arms() -> None:
    """List the arms: where each is from, and the parameters in which it differs from the profile.

    Example:  ascl arms list
    """
    from ascl_core.arms import ARMS

    print_table(("arm", "label", "from", "differs by"), [(arm.name, arm.label, arm.source, " ".join(arm.settings)) for arm in ARMS])


@app.command()
def docs(check: Annotated[bool, typer.Option("--check", help="Only say whether the page is up to date.")] = False) -> None:
    """Write docs/arms.md from the table of arms.

    Example:  ascl arms docs --check
    """
    from ascl_core.arms import page

    keep_page(repository_root() / "docs" / "arms.md", page(), check=check, command="ascl arms docs")
