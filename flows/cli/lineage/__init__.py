"""`ascl lineage`: what made an artifact, from which rules, rows, code and packages, and whether the bytes are still those."""

from __future__ import annotations

import typer

from flows.cli.lineage.show import show
from flows.cli.lineage.verify import verify

app = typer.Typer(help="Say what made a checkpoint or any other artifact, and prove it.", no_args_is_help=True)
app.command()(show)
app.command()(verify)
