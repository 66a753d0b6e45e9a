"""How the command line prints: one console for results, one for errors, tables without boxes."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from ruamel.yaml import YAML

from ascl_core.artifacts import write_text
from ascl_core.errors import WorkspaceError
from ascl_core.evaluation.figures import FIGURES, SHARE
from ascl_core.report.wording import number, percent, share_interval

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)
Check = Annotated[bool, typer.Option("--check", help="Only say whether the page is up to date.")]
_NUMBER = re.compile(r"([\d.]+( s|\u202f%)?)?")
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


def print_line(text: str) -> None:
    """Print one line as it is, without markup and without wrapping."""
    out.print(text, markup=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Print one error on standard error."""
    err.print(f"[bold red]error:[/] {escape(message)}")


def print_warning(message: str) -> None:
    """Print one warning on standard error."""
    err.print(f"[yellow]warning:[/] {escape(message)}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a plain table; known words are coloured, numbers are aligned right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(texts) and all(_NUMBER.fullmatch(row[index]) for row in texts)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=index == 0)
    for row in texts:
        table.add_row(*(f"[{COLOURS[cell]}]{cell}[/]" if cell in COLOURS else escape(cell) for cell in row))
    out.print(table)


def print_yaml(values: Any) -> None:
    """Print values as YAML."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(values, out.file)


def print_headline(headline: Mapping[str, Any]) -> None:
    """Print the headline figures of an evaluation with their 95 % intervals."""
    rows = []
    for key, name, kind, _ in FIGURES:
        if estimate := headline.get(key):
            share = kind == SHARE
            value = percent(estimate["value"]) if share else number(estimate["value"])
            interval = share_interval(estimate) if share else f"{number(estimate['low'])}–{number(estimate['high'])}"
            rows.append((name, value, interval, estimate["n"]))
    print_table(("figure", "value", "95 % interval", "n"), rows)


def print_gate(passed: bool, summary: str, failing: Iterable[str]) -> None:
    """Print the gate's decision, and a line for each criterion that failed."""
    word = "[green]passed[/]" if passed else "[red]not passed[/]"
    out.print(f"gate: {word}: {escape(summary)}", soft_wrap=True)
    for line in failing:
        out.print(f"  [red]✗[/] {escape(line)}", soft_wrap=True)


def repository_root() -> Path:
    """Return the repository around the working directory, and make it the working directory; `WorkspaceError` outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "data" / "rules").is_dir() and (folder / "pyproject.toml").is_file():
            os.chdir(folder)
            return folder
    raise WorkspaceError("not inside an ascl repository", file=here, hint="change into the clone: cd …/ascl")


def shown(path: Path, root: Path) -> str:
    """Return a path as a person would type it from the root of the repository."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def become(arguments: Sequence[str], settings: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process by a Python module, so that signals and a client's streams reach that itself."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell may have set them to be ignored
        with suppress(ValueError):
            signal.signal(ending, signal.SIG_DFL)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", *arguments], {**os.environ, **(settings or {})})


def update_page(name: str, text: str, *, check: bool, command: str) -> None:
    """Write the generated page `docs/NAME`, or with `check` exit with status 1 if it is out of date."""
    page = Path("docs") / name
    if not check:
        write_text(page, text)
        out.print(f"{page} written")
    elif not page.exists() or page.read_text(encoding="utf-8") != text:
        out.print(f"{page} is out of date; hint: {command}")
        raise typer.Exit(1)
    else:
        out.print(f"{page} is up to date")


def counted(number: int, noun: str) -> str:
    """Return `1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _text(cell: object) -> str:
    return f"{cell:.1f} s" if isinstance(cell, float) else "" if cell is None else str(cell)
