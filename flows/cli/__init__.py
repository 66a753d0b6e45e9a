"""The command line `ascl`: one message for each error, and a traceback only with `--debug`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from ascl_core.errors import AsclError, WorkspaceError
from flows.cli import (
    accept,
    arms,
    checkpoints,
    compare,
    keys,
    lineage,
    local_set,
    machine,
    mcp,
    parameters,
    pipeline,
    release,
    remotes,
    rules,
    runs,
    serve,
    stages,
    suites,
)
from flows.cli.console import print_error

INTERRUPTED = 130
_EXAMPLES = """
Retrain the safety alignment of a language model when the safety rules change, and prove what made each checkpoint.

Examples:

    ascl run                          run the pipeline; reuse what is up to date

    ascl plan                         say what would run, and why

    ascl rules check                  check the rules; name file, line and fix

    ascl run --set sft.max_steps=100  the same run with one parameter changed

    ascl chat data/models/ifpo        talk to a checkpoint and see it consult
"""

app = typer.Typer(
    help=_EXAMPLES, no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
pipeline.register(app)
checkpoints.register(app)
accept.register(app)
serve.register(app)
mcp.register(app)
compare.register(app)
machine.register(app)
local_set.register(app)
release.register(app)
remotes.register(app)
app.add_typer(arms.app, name="arms")
app.add_typer(rules.app, name="rules")
app.add_typer(runs.app, name="runs")
app.add_typer(lineage.app, name="lineage")
app.add_typer(remotes.app, name="remote")
app.add_typer(stages.app, name="stages")
app.add_typer(suites.app, name="suites")
app.add_typer(parameters.app, name="params")
app.add_typer(keys.app, name="keys")
app.add_typer(release.app, name="release")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ascl {installed_version('ascl')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and Prefect's own log lines; may stand anywhere.")] = False,
) -> None:
    """The options that every command shares."""


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 an error, 2 wrong usage, 3 the gate said no, 130 interrupted."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    os.environ.update({"ASCL_DEBUG": "1"} if debug else {})
    try:
        app()
    except SystemExit as leaving:  # typer turns Ctrl-C into this status
        if leaving.code == INTERRUPTED:
            print_error("interrupted; what was finished is kept, and the next run goes on from there")
        raise
    except Exception as error:
        if debug:
            raise
        print_error(_message(error))
        sys.exit(error.exit_status if isinstance(error, AsclError) else 1)


def _message(error: Exception) -> str:
    if isinstance(error, AsclError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return str(WorkspaceError(error.strerror or str(error), file=error.filename, hint="check its permissions and the free space"))
    return f"unexpected {type(error).__name__}: {error}\n  hint: run it again with --debug, and report what it shows"
