"""`ascl runs`: the runs in worktrees of their own, how they ended, and their reports."""

from __future__ import annotations

from typing import Annotated

import typer

from ascl_core.text import counted
from flows.cli.console import out, print_gate, print_line, print_table, repository_root, shown
from tasks.runs.runs import ABANDONED_S, KEPT, open_report, read_run
from tasks.runs.runs import collect as remove
from tasks.runs.summary import shortened
from tasks.runs.survey import survey

app = typer.Typer(help="List the runs, show how one ended, collect old worktrees.", no_args_is_help=True)
_DAY_S = 24 * 3600


@app.command(name="list")
def list_runs() -> None:
    """List the runs that are running, that were abandoned, and that have ended, with the gate's decision.

    Example:  ascl runs list
    """
    if found := survey(repository_root()):
        print_table(("run", "state", "gate", "rules", "when"), [(run.id, run.state, run.gate, run.rules[:12], run.when) for run in found])
    else:
        out.print("no run yet")


@app.command()
def show(run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, from ascl runs list.")]) -> None:
    """Show how a run ended, and restore its report into its worktree.

    Example:  ascl runs show 2026-11-25-a
    """
    root = repository_root()
    run = read_run(root, run_id)
    out.print(f"commit {run['commit'][:12]}, from {run['base'][:12]}")
    if gate := run.get("gate"):
        print_gate(gate["passed"], gate["summary"], gate["failing"])
    if checkpoint := run.get("checkpoint"):
        print_line(f"checkpoint: {checkpoint['path']}, sha256 {checkpoint['sha256']}")
    if stages := run.get("stages"):
        print_table(("stage", "action", "why", "took"), [(s["stage"], s["action"], shortened(s["reasons"]), s["seconds"]) for s in stages])
        print_line(f"report: {shown(open_report(root, run_id) / 'index.html', root)}")


@app.command()
def collect(
    keep: Annotated[int, typer.Option(min=0, help="Worktrees of ended runs to keep.")] = KEPT,
    days: Annotated[float, typer.Option(min=0.0, help="Days without a change after which an unfinished run counts as abandoned.")] = (
        ABANDONED_S / _DAY_S
    ),
) -> None:
    """Remove the worktrees of ended and abandoned runs; their commits and everything in the cache stay.

    Example:  ascl runs collect --keep 0
    """
    removed = remove(repository_root(), keep=keep, abandoned_s=days * _DAY_S)
    print_line(f"{counted(len(removed), 'worktree')} removed{': ' if removed else ''}{', '.join(removed)}")
