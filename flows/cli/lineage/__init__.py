"""`ascl lineage`: what made an artifact, from which rules, rows, code and packages, and whether the bytes are still those."""

from __future__ import annotations

import typer

from flows.cli.lineage.checkpoints import checkpoints
from flows.cli.lineage.diff import diff
from flows.cli.lineage.export import export
from flows.cli.lineage.page import page
from flows.cli.lineage.rows import rows
from flows.cli.lineage.show import show
from flows.cli.lineage.verify import verify
from flows.cli.lineage.why import why

app = typer.Typer(help="Say what made a checkpoint or any other artifact, and prove it.", no_args_is_help=True)
for command in (show, page, why, diff, rows, checkpoints, verify, export):
    app.command()(command)
