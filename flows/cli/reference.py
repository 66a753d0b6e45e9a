"""Write `docs/commands.md`, every command of `ascl` in groups: `python -m flows.cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from ascl_core.artifacts import write_text
from flows.cli import app

GROUPS: dict[str, tuple[str, ...]] = {
    "Run the pipeline": ("run", "plan", "status", "runs"),
    "Rules": ("rules",),
    "Talk to a model, evaluate it, serve it": ("chat", "eval", "serve", "mcp"),
    "Approve and release": ("approve", "release", "keys"),
    "Lineage: what made it, and proof": ("lineage",),
    "Compare recipes": ("compare", "arms", "suites"),
    "Prefect": ("server", "worker", "deploy"),
    "Copies and other machines": ("remote", "push", "pull", "work"),
    "Parameters, stages and this machine": ("params", "stages", "doctor"),
}
"""The commands and command groups under each heading of the page."""
_INTRODUCTION = """# Commands

`ascl COMMAND --help` lists a command's options, with examples. `--debug` after any command shows the traceback of an error.

Exit status: 0 done, 1 an error or a finding, 2 wrong usage, 3 the gate refused the checkpoint, 130 interrupted.

This page is made by `python -m flows.cli.reference` from the command line itself.
"""


def page() -> str:
    """Return `docs/commands.md`; a command that no heading names comes last, under "Others"."""
    commands = dict(_commands(typer.main.get_command(app), ""))
    grouped = {name for names in GROUPS.values() for name in names}
    others = tuple(dict.fromkeys(first for first in (command.split()[0] for command in commands) if first not in grouped))
    sections = {**GROUPS, **({"Others": others} if others else {})}
    return "\n".join([_INTRODUCTION, *(_section(heading, names, commands) for heading, names in sections.items())])


def _section(heading: str, names: tuple[str, ...], commands: dict[str, TyperCommand]) -> str:
    rows = [_row(command, entry) for name in names for command, entry in commands.items() if command.split()[0] == name]
    return "\n".join([f"## {heading}", "", "| command | what it does |", "|---|---|", *rows, ""])


def _row(name: str, command: TyperCommand) -> str:
    arguments = [piece for piece in command.collect_usage_pieces(typer.Context(command)) if piece != "[OPTIONS]"]
    usage = " ".join(["ascl", name, *(argument.strip("{}") for argument in arguments)])
    return f"| `{usage}` | {command.get_short_help_str(limit=1000)} |"


def _commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    """Yield the name and the command of every leaf, in the order of `--help`."""
    if isinstance(command, TyperGroup):
        for word, inner in command.commands.items():
            yield from _commands(inner, f"{name} {word}".strip())
    elif isinstance(command, TyperCommand) and not command.hidden:
        yield name, command


if __name__ == "__main__":
    write_text(Path(__file__).parents[2] / "docs" / "commands.md", page())
