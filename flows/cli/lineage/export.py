"""`ascl lineage export`: the lineage of an artifact, for others."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import out, repository_root, shown
from flows.cli.lineage.arguments import Thing, print_line


class Format(StrEnum):
    """The formats of an export."""

    PACK = "pack"
    OPENLINEAGE = "openlineage"


def export(
    thing: Thing,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="A folder that does not exist yet.")],
    kind: Annotated[Format, typer.Option("--format", help="The evidence pack, or the OpenLineage events alone.")] = Format.PACK,
) -> None:
    """Write the lineage of an artifact for others: the evidence pack (and the same as DIR.tar), or OpenLineage events.

    The pack is signed if ASCL_TRAINER_KEY names the trainer's key.

    Examples:  ascl lineage export release/1 --into evidence   |   ascl lineage export released --into events --format openlineage
    """
    from tasks.lineage.export.pack import export_events, export_pack

    into = into.resolve()
    root = repository_root()
    if kind is Format.OPENLINEAGE:
        print_line(shown(export_events(root, thing, into), root))
        return
    tar, missing = export_pack(root, thing, into)
    print_line(f"{shown(into, root)} and {shown(tar, root)}")
    for name in missing:
        out.print(f"[yellow]missing[/] {name}", soft_wrap=True)
