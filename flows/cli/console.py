"""How the command line prints: one console for results, one for errors."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from ruamel.yaml import YAML

from ascl_core.artifacts import write_text
from ascl_core.errors import WorkspaceError
from ascl_core.evaluation.figures import FIGURES, SHARE
from ascl_core.report.wording import number, number_interval, percent, share_interval
from flows.cli.tables import table_lines
from tasks.registry.paths import DVC_YAML, STAGE_SCRIPT
from tasks.registry.stages import RULES
from tasks.releases.history import refresh
from tasks.repository.released import is_release

if not os.environ.get("COLUMNS", "1").strip("0 "):
    del os.environ["COLUMNS"]  # as some containers set it to 0: nothing would be printed
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
"""Without emoji, as the line in `rules.yaml:100: …` would be printed as one."""
_BATCH = 100
Check = Annotated[bool, typer.Option("--check", help="Only say whether the page is up to date.")]


def print_line(text: str) -> None:
    """Print one line as it is, without markup and without wrapping."""
    out.print(text, markup=False)


def print_lines(lines: Iterable[str], *, markup: bool = True) -> None:
    """Print many lines; in batches, as a call of the console costs more than a line, and markup more than both."""
    waiting = list(lines)
    for start in range(0, len(waiting), _BATCH):
        out.print("\n".join(waiting[start : start + _BATCH]), markup=markup)


def print_error(message: str) -> None:
    """Print one error on standard error."""
    err.print(f"[bold red]error:[/] {escape(message)}")


def print_warning(message: str) -> None:
    """Print one warning on standard error."""
    err.print(f"[yellow]warning:[/] {escape(message)}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; known words are coloured. Into a file or pipe each row is one line, whatever `COLUMNS` says."""
    texts = [[_text(cell) for cell in row] for row in rows]
    for line in table_lines(columns, texts, out.width if out.is_terminal else None):
        out.print(line)


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
            value, interval = (percent, share_interval) if kind == SHARE else (number, number_interval)
            rows.append((name, value(estimate["value"]), interval(estimate), estimate["n"]))
    print_table(("figure", "value", "95 % interval", "n"), rows)


def print_gate(passed: bool, summary: str, failing: Iterable[str]) -> None:
    """Print the gate's decision, and a line for each criterion that failed."""
    word = "[green]passed[/]" if passed else "[red]not passed[/]"
    out.print(f"gate: {word}: {escape(summary)}")
    for line in failing:
        out.print(f"  [red]✗[/] {escape(line)}")


def repository_root() -> Path:
    """Return the repository around the working directory, and make it the working directory; `WorkspaceError` outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and ((folder / RULES.path).exists() or _runs_our_stages(folder / DVC_YAML)):
            os.chdir(folder)
            return folder
    raise WorkspaceError("not inside an ascl repository", file=here, hint="change into the clone: cd …/ascl")


def print_ran(actions: Sequence[str]) -> None:
    """Print how many stages ran, after an empty line."""
    ran = actions.count("ran")
    out.print(f"\n{ran} of {len(actions)} stages ran{', the others were up to date' if ran < len(actions) else ''}")


def root_for(*names: str) -> Path:
    """Return the repository, after fetching the releases if one of these names of rules or checkpoints is that of a release."""
    return refreshed_root() if any(map(is_release, names)) else repository_root()


def refreshed_root() -> Path:
    """Return the repository as `repository_root` does, after fetching the releases; warn if `origin` cannot be reached."""
    root = repository_root()
    if notice := refresh(root):
        print_warning(notice)
    return root


def _runs_our_stages(dvc_yaml: Path) -> bool:
    """Return whether a `dvc.yaml` is of this project, and not of another one that uses DVC."""
    return dvc_yaml.is_file() and STAGE_SCRIPT.encode() in dvc_yaml.read_bytes()


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


def _text(cell: object) -> str:
    return f"{cell:.1f} s" if isinstance(cell, float) else "" if cell is None else str(cell)
