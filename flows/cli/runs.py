"""`ascl runs`: what ran in worktrees of their own, how it ended, and where its report is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from flows.cli.console import COLOURS, counted, out, print_table, repository_root, shown

app = typer.Typer(help="List the runs, show how one ended, collect old worktrees.", no_args_is_help=True)
RunId = Annotated[str, typer.Argument(metavar="ID", help="A run's id, as ascl runs list gives it.")]


@app.command(name="list")
def list_runs() -> None:
    """List the runs that go on, that were left, and that have ended, with what the gate decided.

    Example:  ascl runs list
    """
    from tasks.runs.survey import survey

    found = survey(repository_root())
    if not found:
        out.print("no run yet")
        return
    print_table(("run", "state", "gate", "rules", "when"), [(run.id, run.state, run.gate, run.rules[:12], run.when) for run in found])


@app.command()
def show(run_id: RunId) -> None:
    """Show how a run ended, and bring its report back into its worktree.

    Example:  ascl runs show 2026-11-25-a
    """
    from tasks.runs.runs import open_report, read_run

    root = repository_root()
    run = read_run(root, run_id)
    out.print(f"commit {run['commit'][:12]}, from {run['base'][:12]}")
    if gate := run.get("gate"):
        out.print(f"gate: [{COLOURS['ok' if gate['passed'] else 'error']}]{'passed' if gate['passed'] else 'not passed'}[/]", end=": ")
        out.print(str(gate["summary"]), markup=False, soft_wrap=True)
        for line in gate["failing"]:
            out.print(f"  [red]✗[/] {escape(line)}", soft_wrap=True)
    if checkpoint := run.get("checkpoint"):
        out.print(f"checkpoint: {checkpoint['path']}, sha256 {checkpoint['sha256']}", soft_wrap=True, markup=False)
    if stages := run.get("stages"):
        print_table(("stage", "", "why", "took"), [(s["stage"], s["action"], "; ".join(s["reasons"]), s["seconds"]) for s in stages])
        out.print(f"report: {shown(open_report(root, run_id) / 'index.html', root)}", soft_wrap=True, markup=False)


@app.command()
def collect(
    keep: Annotated[int | None, typer.Option(min=0, help="Worktrees of ended runs to keep; 5 if not given.")] = None,
    days: Annotated[float, typer.Option(min=0.0, help="After how many days without a change a run that never ended counts as left.")] = 7.0,
) -> None:
    """Remove the worktrees of runs that ended or were left; their commits and everything in the cache stay.

    Example:  ascl runs collect --keep 0
    """
    from tasks.runs.runs import KEPT
    from tasks.runs.runs import collect as remove

    removed = remove(repository_root(), keep=KEPT if keep is None else keep, abandoned_s=days * 24 * 3600)
    out.print(f"{counted(len(removed), 'worktree')} removed{': ' if removed else ''}{', '.join(removed)}", soft_wrap=True)
