"""`ascl stages`: the registry, and the dvc.yaml that is rendered from it."""

from __future__ import annotations

from typing import Annotated

import typer

from ascl_core.artifacts import write_text
from ascl_core.text import counted
from flows.cli.console import out, print_line, print_table, repository_root
from flows.cli.parameters import Settings
from flows.cli.tables import COLOURS
from tasks.execution.up_to_date import bring_up_to_date
from tasks.host import preflight
from tasks.registry import dvcfile
from tasks.registry.paths import DVC_YAML
from tasks.registry.stages import STAGES, get_stage
from tasks.repository import released, transfer
from tasks.repository.params_file import write_params

app = typer.Typer(help="List the stages, run one; write and check the dvc.yaml that is made from them.", no_args_is_help=True)


@app.command(name="list")
def list_stages() -> None:
    """List the stages in an order in which they can run.

    Example:  ascl stages list
    """
    print_table(("stage", "what it does", "reads"), [(stage.name, stage.summary, ", ".join(stage.sections)) for stage in STAGES])


@app.command()
def write() -> None:
    """Write dvc.yaml from the registry in tasks/registry/stages.py.

    Example:  ascl stages write
    """
    root = repository_root()
    write_text(root / DVC_YAML, dvcfile.render(root))
    out.print("dvc.yaml written")


@app.command()
def check() -> None:
    """Fail unless dvc.yaml is what the registry says.

    Example:  ascl stages check
    """
    dvcfile.check(repository_root())
    out.print("dvc.yaml is up to date")


@app.command()
def run(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage of ascl stages list.")],
    setting: Settings = None,
    push: Annotated[bool, typer.Option("--push", help="Push its outputs to the remote.")] = False,
) -> None:
    """Run one stage on the recorded outputs of the stages before it, fetched if necessary; reuse what is up to date.

    The checks before it (validate_rules, validate_data; for the report also the gate) must have passed on what is here now.

    Example:  ascl stages run report --set report.sample_conversations=5
    """
    root, chosen = repository_root(), get_stage(stage)
    write_params(root, None, setting or ())
    preflight.require(root, all_stages=False)
    released.bring_up_to_date(root)
    dvcfile.follow_sources(root)
    outcome = bring_up_to_date(chosen, root=root)
    out.print(f"{stage} [{COLOURS[outcome.action]}]{outcome.action}[/] in {outcome.seconds:.1f} s", end=": ")
    print_line("; ".join(outcome.reasons))
    if push:
        out.print(f"{counted(transfer.push(root), 'file')} pushed")
