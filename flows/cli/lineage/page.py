"""`ascl lineage page`: the lineage of an artifact, as one file for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import err, out, repository_root
from flows.cli.lineage.arguments import Thing, print_line

if TYPE_CHECKING:
    from tasks.lineage.page import Written

_MB = 1e6


def page(
    thing: Thing = "data/models/ifpo",
    compare: Annotated[str | None, typer.Option("--compare", metavar="Y", help="Show it beside this one, and what differs.")] = None,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; by default under .ascl/lineage/pages.")
    ] = None,
    rows: Annotated[bool, typer.Option("--rows/--no-rows", help="Whether rows can be searched in it.")] = True,
) -> None:
    """Write a page with the graph, records, rules and rows of an artifact; it needs no server and no network.

    Examples:  ascl lineage page   |   ascl lineage page release/2 --compare release/1   |   ascl lineage page released --out lineage.html
    """
    from tasks.lineage.page import write_page

    print_written(write_page(repository_root(), thing, file and file.absolute(), compare=compare, rows=rows))


def print_written(written: Written) -> None:
    """Print where a page is, how large, and what is not in it."""
    print_line(written.path.resolve().as_uri())
    out.print(f"{written.bytes / _MB:.1f} MB, {written.rows:,} rows")
    for line in written.left_out:
        err.print(f"rows not in it: {line}", style="yellow", markup=False)
