"""`ascl lineage page`: what made an artifact, as one file for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import err, out, repository_root
from flows.cli.lineage.arguments import Thing

if TYPE_CHECKING:
    from tasks.lineage.page import Written

_MB = 1e6


def page(
    thing: Thing = "data/models/ifpo",
    compare: Annotated[str | None, typer.Option("--compare", metavar="Y", help="Show it beside this one, and what differs.")] = None,
    file: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it here; else under .ascl/lineage/pages.")] = None,
    rows: Annotated[bool, typer.Option("--rows/--no-rows", help="Whether rows can be searched in it.")] = True,
) -> None:
    """Write a page with the graph, the records, the rules and the rows behind an artifact; it needs no server and no network.

    Examples:  ascl lineage page   |   ascl lineage page release/2 --compare release/1   |   ascl lineage page released --out lineage.html
    """
    from tasks.lineage.page import write_page

    file = file and file.absolute()
    say_written(write_page(repository_root(), thing, file, compare=compare, rows=rows))


def say_written(written: Written) -> None:
    """Say where a page is, how large, and what is not in it."""
    out.print(written.path.resolve().as_uri(), soft_wrap=True, markup=False)
    out.print(f"{written.bytes / _MB:.1f} MB, {written.rows:,} rows")
    for line in written.left_out:
        err.print(f"rows not in it: {line}", style="yellow", markup=False)
