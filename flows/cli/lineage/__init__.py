"""`ascl lineage`: what made an artifact, from which rules, rows, code and packages, and whether the bytes are unchanged."""

from __future__ import annotations

import typer

from flows.cli.lineage.artifact import page, show, why
from flows.cli.lineage.diff import diff
from flows.cli.lineage.evidence import export, verify
from flows.cli.lineage.rollouts import rollouts
from flows.cli.lineage.rows import checkpoints, rows

app = typer.Typer(help="Say what made a checkpoint or any other artifact, and prove it.", no_args_is_help=True)
for command in (show, page, why, diff, rows, checkpoints, rollouts, verify, export):
    app.command()(command)
