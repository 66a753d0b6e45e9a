"""`ascl accept`: keep what a stage made although its code changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import out, repository_root


def accept(
    stage: Annotated[list[str], typer.Argument(metavar="STAGE", help="The stages whose outputs stay; ascl plan names them.")],
    reason: Annotated[str, typer.Option(help="Why the change of code changes no output.")],
    key: Annotated[Path | None, typer.Option("--key", help="Your private key; the file in ASCL_APPROVER_KEY by default.")] = None,
) -> None:
    """Vouch, with your signature, that a change of code changes no output of a stage: then it is not run again for it.

    ascl lineage show and ascl lineage why name who vouched, when and why. Data and parameters must be those of the stage's last run.

    Examples:  ascl accept sft --reason "renamed a function"   |   ascl accept sft ifpo --reason "better error messages"
    """
    from tasks.evidence.trust import Role, read_key
    from tasks.execution.accept import accept as accept_stage
    from tasks.host.environment import prepare_environment
    from tasks.registry.stages import get_stage

    start = Path.cwd()
    root = repository_root()
    prepare_environment(root)
    stages = [get_stage(name) for name in stage]
    private = read_key(Role.APPROVER, start / key if key else None)
    for one in stages:
        accept_stage(root, one, reason, private)
        out.print(f"accepted {one.name}: its outputs count as those of the current code")
