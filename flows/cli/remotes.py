"""`ascl remote`, `ascl push`, `ascl pull` and `ascl work`: the store of copies, and work on a machine that has nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows.cli.console import counted, err, out, print_table, repository_root, shown
from flows.cli.parameters import Settings

app = typer.Typer(help="Say where copies of data and checkpoints are kept, and check that place.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module that stand at the top."""
    for command in (push, pull, work):
        app.command()(command)


@app.command(name="set")
def set_remote(
    url: Annotated[str, typer.Argument(metavar="URL", help="s3://BUCKET/PREFIX, or an absolute folder.")],
    endpoint: Annotated[str | None, typer.Option(help="Another S3 server than Amazon's, such as https://s3.example.org.")] = None,
    region: Annotated[str | None, typer.Option(help="Such as eu-central-1.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="For everybody: in .dvc/config, to be committed.")] = False,
) -> None:
    """Set the remote of this machine. Credentials are never written: they are read from AWS_* variables or AWS_PROFILE.

    Example:  ascl remote set s3://models/ascl --endpoint https://s3.example.org
    """
    from tasks.repository import dvc_config
    from tasks.repository.remotes import FILES, make_remote

    remote = make_remote(url, endpoint, region)
    dvc_config.use_remote(repository_root(), remote, shared=shared)
    out.print(f"{remote}, in {FILES[0 if shared else 1]}; check it: ascl remote check", soft_wrap=True, markup=False)


@app.command()
def show() -> None:
    """Show the remote that counts here.

    Example:  ascl remote show
    """
    from tasks.repository.remotes import VARIABLE, from_environment, read_remote

    remote = read_remote(repository_root())
    source = f" (from {VARIABLE})" if from_environment() else ""
    out.print(f"{remote}{source}" if remote else "none: ascl remote set s3://BUCKET/PREFIX", soft_wrap=True, markup=False)


@app.command()
def check() -> None:
    """Write, read and delete an object, and say what is wrong where that fails; exit status 1 then.

    Example:  ascl remote check
    """
    from tasks.host.preflight import remote_check
    from tasks.repository.remote_check import check_remote
    from tasks.repository.remotes import read_remote

    root = repository_root()
    configured = remote_check(root)
    remote = read_remote(root) if configured.level == "ok" else None
    checks = [configured, *(check_remote(remote) if remote else ())]
    print_table(("check", "", "found", "hint"), [(check.name, check.level, check.found, check.hint) for check in checks])
    if remote is None or any(check.level == "error" for check in checks):
        raise typer.Exit(1)


def push(
    audit: Annotated[
        bool, typer.Option("--audit", help="Look at every object in the store, and send again what is lost or cut off.")
    ] = False,
) -> None:
    """Copy to the remote what it lacks of what dvc.lock names.

    Examples:  ascl push   |   ascl push --audit
    """
    from tasks.repository import transfer
    from tasks.repository.remotes import read_remote
    from tasks.repository.store_audit import forget_what_is_not_whole

    root = repository_root()
    if audit:
        out.print(f"{counted(len(forget_what_is_not_whole(root)), 'object')} missing or not whole in the store")
    with err.status(escape(f"to {read_remote(root)}")):
        moved = transfer.push(root)
    out.print(f"{counted(moved, 'file')} pushed" if moved else "the remote has everything")


def pull(force: Annotated[bool, typer.Option("--force", help="Overwrite outputs of which there is no copy.")] = False) -> None:
    """Bring what dvc.lock names from the remote into place.

    Example:  ascl pull
    """
    from tasks.evidence.log import append_missing
    from tasks.repository import transfer
    from tasks.repository.remotes import read_remote

    root = repository_root()
    with err.status(escape(f"from {read_remote(root)}")):
        moved = transfer.pull(root, force=force)
        append_missing(root)
    out.print(f"{counted(moved, 'file')} pulled" if moved else "everything is here")


def work(
    url: Annotated[str, typer.Argument(metavar="URL", help="The git repository, without credentials in its URL.")],
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage of ascl stages list.")],
    ref: Annotated[str, typer.Option(help="A commit, branch or tag, such as runs/ID.")] = "HEAD",
    into: Annotated[Path, typer.Option(help="Where to clone to; a clone that is there is used again.")] = Path("work"),
    setting: Settings = None,
) -> None:
    """Complete one stage on a machine that has nothing: clone, fetch what the stage reads from the remote, run it, push.

    The remote is that of the commit, or ASCL_REMOTE (with ASCL_REMOTE_ENDPOINT and ASCL_REMOTE_REGION).

    Example:  ascl work https://git.example.org/safety/ascl.git report --ref runs/2026-11-25
    """
    import os
    import subprocess
    import sys

    from tasks.registry.stages import get_stage
    from tasks.repository.checkout import clone

    name = get_stage(stage).name
    place = clone(url, ref, into.resolve())
    out.print(f"{shown(place, Path.cwd())} is at {ref}", markup=False, soft_wrap=True)
    command = [sys.executable, "-m", "flows.cli", "stages", "run", name, "--push"]
    changed = [word for value in setting or () for word in ("--set", value)]
    done = subprocess.run([*command, *changed], cwd=place, env={**os.environ, "PYTHONPATH": str(place)}, check=False)
    raise typer.Exit(done.returncode)
