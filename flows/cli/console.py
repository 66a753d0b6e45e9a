"""How the command line looks: one console for results, one for errors, tables without boxes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ascl_core.errors import WorkspaceError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

COLOURS = {
    "ok": "green",
    "warning": "yellow",
    "error": "red",
    "ran": "cyan",
    "reused": "green",
    "restored": "blue",
    "re-recorded": "green",
    "run": "cyan",
    "reuse": "green",
    "re-record": "green",
}


def print_error(message: str) -> None:
    """One error on standard error, never with markup of its own."""
    err.print(f"[bold red]error:[/] {escape(message)}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table; words with a colour of their own get it, numbers stand right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(texts) and all(row[index].replace(".", "").replace(" s", "").isdigit() or not row[index] for row in texts)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=index == 0)
    for row in texts:
        table.add_row(*(f"[{COLOURS[cell]}]{cell}[/]" if cell in COLOURS else escape(cell) for cell in row))
    out.print(table)


def repository_root() -> Path:
    """The repository around the working directory, which becomes the working directory; `WorkspaceError` outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "data" / "rules").is_dir() and (folder / "pyproject.toml").is_file():
            os.chdir(folder)
            return folder
    raise WorkspaceError("not inside an ascl repository", file=here, hint="change into the clone: cd …/ascl")


def shown(path: Path, root: Path) -> str:
    """A path as a person would type it from the root of the repository."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def keep_page(path: Path, text: str, *, check: bool, command: str) -> None:
    """Write a generated page, or with `check` only say whether it is up to date; exit status 1 where it is not."""
    from ascl_core.artifacts import write_text

    name = path.relative_to(Path.cwd())
    if not check:
        write_text(path, text)
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        out.print(f"{name} is out of date; hint: {command}")
        raise typer.Exit(1)
    out.print(f"{name} is up to date")


def counted(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _text(cell: object) -> str:
    return f"{cell:.1f} s" if isinstance(cell, float) else "" if cell is None else str(cell)
