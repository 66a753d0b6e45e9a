"""`ascl remote`, `ascl push`, `ascl pull` and `ascl work`: the remote store, and one stage on a machine that has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ascl_core.text import counted, some
from flows.cli.console import err, out, print_line, print_table, repository_root, shown
from flows.cli.parameters import Settings
from tasks.evidence.log import append_missing
from tasks.host.preflight import remote_check
from tasks.registry.stages import get_stage
from tasks.repository import dvc_config, named, transfer
from tasks.repository.checkout import clone
from tasks.repository.remote_check import check_remote
from tasks.repository.remotes import FILES, VARIABLE, from_environment, make_remote, read_remote
from tasks.repository.store_audit import delete_damaged_objects

app = typer.Typer(help="Set, show and check the remote store of data and checkpoints.", no_args_is_help=True)


@app.command(name="set")
def set_remote(
    url: Annotated[str, typer.Argument(metavar="URL", help="s3://BUCKET/PREFIX, or an absolute folder.")],
    endpoint: Annotated[str | None, typer.Option(help="Another S3 server than Amazon's, such as https://s3.example.org.")] = None,
    region: Annotated[str | None, typer.Option(help="Such as eu-central-1.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="For everybody: in .dvc/config, to be committed.")] = False,
) -> None:
    """Set the remote of this machine, to which every ascl run then pushes. Credentials are read from AWS_* variables, and never written.

    Example:  ascl remote set s3://models/ascl --endpoint https://s3.example.org
    """
    remote = make_remote(url, endpoint, region)
    dvc_config.use_remote(repository_root(), remote, shared=shared)
    print_line(f"{remote}, in {FILES[0 if shared else 1]}; check it: ascl remote check")
    print_line("from now on ascl run pushes what it makes to it, unless it is given --no-push")


@app.command()
def show() -> None:
    """Show the remote that is used here.

    Example:  ascl remote show
    """
    remote = read_remote(repository_root())
    source = f" (from {VARIABLE})" if from_environment() else ""
    print_line(f"{remote}{source}" if remote else "none: ascl remote set s3://BUCKET/PREFIX")


@app.command()
def check() -> None:
    """Write, read and delete an object; if that fails, say why, with exit status 1.

    Example:  ascl remote check
    """
    root = repository_root()
    configured = remote_check(root)
    remote = read_remote(root) if configured.level == "ok" else None
    checks = [configured, *(check_remote(remote) if remote else ())]
    print_table(("check", "state", "found", "hint"), [(check.name, check.level, check.found, check.hint) for check in checks])
    if remote is None or any(check.level == "error" for check in checks):
        raise typer.Exit(1)


def push(
    audit: Annotated[bool, typer.Option("--audit", help="Check every object in the store, and send lost or truncated ones again.")] = False,
) -> None:
    """Copy to the remote what it lacks of the working tree's outputs, and of every run and release that a branch or a tag names.

    Exit status 1 if data of one of them is neither here nor there.

    Examples:  ascl push   |   ascl push --audit
    """
    root = repository_root()
    if audit:
        recorded = (md5 for outputs in named.named_outputs(root).values() for md5 in outputs.values())
        out.print(f"{counted(len(delete_damaged_objects(root, recorded)), 'object')} missing or truncated in the store")
    with err.status(escape(f"to {read_remote(root)}")):
        pushed = named.push(root)
    if pushed.moved:
        out.print(f"{counted(pushed.moved, 'file')} pushed")
    if not pushed.lost:
        if not pushed.moved:
            out.print("the remote has everything")
        return
    for name, paths in pushed.lost.items():
        print_line(f"{name}: neither here nor in the remote: {some(paths)}")
    print_line("hint: ascl push on a machine that has them; or fetch them from the remote that has them: ASCL_REMOTE=… ascl pull --all")
    raise typer.Exit(1)


def pull(
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite outputs that have no copy.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Fetch also every run and release that a branch or a tag names, into the cache.")
    ] = False,
) -> None:
    """Fetch the files of dvc.lock from the remote into the working tree.

    Examples:  ascl pull   |   ascl pull --all
    """
    root = repository_root()
    with err.status(escape(f"from {read_remote(root)}")):
        moved = named.fetch(root) if every else 0
        moved += transfer.pull(root, force=overwrite)
        append_missing(root)
    out.print(f"{counted(moved, 'file')} pulled" if moved else "everything is here")


def work(
    url: Annotated[str, typer.Argument(metavar="URL", help="The git repository, without credentials in its URL.")],
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage of ascl stages list.")],
    ref: Annotated[str, typer.Option(help="A commit, branch or tag, such as runs/ID.")] = "HEAD",
    into: Annotated[Path, typer.Option(help="The folder of the clone; an existing clone is reused.")] = Path("work"),
    setting: Settings = None,
) -> None:
    """Complete one stage on a machine that has nothing: clone, fetch the stage's inputs from the remote, run it, push.

    The remote is that of the commit, or ASCL_REMOTE (with ASCL_REMOTE_ENDPOINT and ASCL_REMOTE_REGION).

    Example:  ascl work https://git.example.org/safety/ascl.git report --ref runs/2026-11-25
    """
    name = get_stage(stage).name
    folder = clone(url, ref, into.resolve())
    print_line(f"{shown(folder, Path.cwd())} is at {ref}")
    command = [sys.executable, "-m", "flows.cli", "stages", "run", name, "--push"]
    changed = [word for value in setting or () for word in ("--set", value)]
    done = subprocess.run([*command, *changed], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, check=False)
    raise typer.Exit(done.returncode)
