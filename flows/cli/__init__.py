"""The command line `ascl`: one message for each error, and a traceback only with `--debug`."""

from __future__ import annotations

import errno
import locale
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from ascl_core.errors import AsclError, WorkspaceError
from flows.cli.console import print_error
from tasks.host.environment import name_the_user, reach_this_machine_directly

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
_COMMANDS = {
    "init": "init:init",
    **{name: f"pipeline:{name}" for name in ("run", "plan", "status", "doctor")},
    "eval": "checkpoints:evaluate",
    "chat": "checkpoints:chat",
    "backtest": "backtest:backtest",
    "serve": "serving:serve",
    "mcp": "serving:mcp",
    "compare": "compare:compare",
    **{name: f"local_set:{name}" for name in ("server", "worker", "deploy")},
    "approve": "release:approve",
    "accept": "accept:accept",
    **{name: f"remotes:{name}" for name in ("push", "pull", "work")},
    **{name: f"{name}:app" for name in ("arms", "data", "judges", "rules", "runs", "lineage", "stages", "suites", "keys", "release")},
    "remote": "remotes:app",
    "params": "parameters:app",
}
"""Each command by its module and its function, or the group that it is."""
_INSTALL = "pip install 'ascl[all]', or make setup"
_ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True}


class _Commands(Mapping[str, Any]):
    """The commands by name; a command's module is imported when the command is used."""

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = _COMMANDS[name].partition(":")
        try:
            found = getattr(import_module(f"flows.cli.{module}"), attribute)
        except ModuleNotFoundError as error:
            if _is_ours(error):
                raise
            return _unavailable(name, error)
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(name)(found)
            command = get_command(alone)
        command.name = name
        return command


def _is_ours(error: ModuleNotFoundError) -> bool:
    return str(error.name).partition(".")[0] in ("flows", "tasks", "ascl_core")


def _unavailable(name: str, error: ModuleNotFoundError) -> Any:
    """Return a command that says which package it lacks, in an installation without all extras."""

    def unavailable(_: typer.Context) -> None:
        raise error

    alone = typer.Typer(add_completion=False)
    alone.command(name, help=f"Not available here: {error.name} is not installed ({_INSTALL}).", context_settings=_ANYTHING)(unavailable)
    command = get_command(alone)
    command.name = name
    return command


class _Group(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]


app = typer.Typer(
    cls=_Group,
    help=_EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ascl {installed_version('ascl')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and Prefect's log lines; may stand anywhere.")] = False,
) -> None:
    """Declare the options that every command shares."""


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 an error, 2 wrong usage, 3 the gate did not pass, 130 interrupted."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    os.environ.update({"ASCL_DEBUG": "1"} if debug else {})
    _use_utf8()
    reach_this_machine_directly()
    name_the_user()
    try:
        app()
    except SystemExit as leaving:  # typer turns Ctrl-C into this status
        if leaving.code == INTERRUPTED:
            print_error("interrupted; finished work is kept, and the next run continues from there")
        raise
    except Exception as error:
        if debug:
            raise
        print_error(_message(error))
        sys.exit(error.exit_status if isinstance(error, AsclError) else 1)


def _use_utf8() -> None:
    """Start again in Python's UTF-8 mode in a locale of another encoding, which would misread files and names; print any name."""
    if not sys.flags.utf8_mode and os.environ.get("PYTHONUTF8") != "1" and locale.getencoding().lower() not in ("utf-8", "utf8"):
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _of_the_machine(error: OSError | sqlite3.Error | UnicodeError) -> WorkspaceError:
    """Return the error for what a disk, its permissions or a name prevented."""
    if isinstance(error, UnicodeError):
        return WorkspaceError(f"a name or a text is not UTF-8: {error}", hint="rename the file, or save it as UTF-8")
    if isinstance(error, sqlite3.Error):
        return WorkspaceError(f"a database failed: {error}", hint="check the free space and the permissions of .ascl and the home folder")
    hint = "check its permissions and the free space"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space, and run it again: what was finished is kept (ascl runs collect)"
    return WorkspaceError(error.strerror or str(error), file=error.filename, hint=hint)


def _message(error: Exception) -> str:
    if isinstance(error, AsclError):
        return str(error)
    if isinstance(error, OSError | sqlite3.Error | UnicodeError):
        return str(_of_the_machine(error))
    if isinstance(error, ModuleNotFoundError) and not _is_ours(error):
        return str(WorkspaceError(f"this needs the package {error.name}, which is not installed", hint=_INSTALL))
    return f"unexpected {type(error).__name__}: {error}\n  hint: run it again with --debug, and report the traceback"
