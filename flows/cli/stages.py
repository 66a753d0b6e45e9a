"""`ascl stages`: the registry, and the dvc.yaml that is rendered from it."""

from __future__ import annotations

import typer

from flows.cli.console import out, print_table, repository_root
from tasks.stages import STAGES

app = typer.Typer(help="List the stages; write and check the dvc.yaml that is made from them.", no_args_is_help=True)


@app.command(name="list")
def list_stages() -> None:
    """List the stages in an order in which they can run.

    Example:  ascl stages list
    """
    print_table(("stage", "what it does", "reads"), [(stage.name, stage.summary, ", ".join(stage.sections)) for stage in STAGES])


@app.command()
def write() -> None:
    """Write dvc.yaml from the registry in tasks/stages.py.

    Example:  ascl stages write
    """
    from ascl_core.artifacts import write_text
    from tasks import dvcfile

    root = repository_root()
    write_text(root / dvcfile.FILE, dvcfile.render(root))
    out.print("dvc.yaml written")


@app.command()
def check() -> None:
    """Fail unless dvc.yaml is what the registry says.

    Example:  ascl stages check
    """
    from tasks import dvcfile

    dvcfile.check(repository_root())
    out.print("dvc.yaml is up to date")
