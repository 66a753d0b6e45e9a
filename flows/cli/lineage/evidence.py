"""`ascl lineage verify` and `export`: whether the bytes are those that were recorded, and the evidence for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.cli.console import counted, out, print_line, repository_root, shown
from flows.cli.lineage.arguments import Thing
from tasks.lineage.export.pack import export_events, export_pack
from tasks.lineage.verify import Verified
from tasks.lineage.verify import verify as verify_lineage


def verify(thing: Thing = "data/models/ifpo") -> None:
    """Recompute the digest of everything that an artifact comes from; exit status 1 and the first mismatch, or a summary of the checks.

    For a candidate checkpoint, also check that evaluation, gate and release are about these bytes. Needs no network if the cache has all.

    Examples:  ascl lineage verify release/1   |   ascl lineage verify data/models/ifpo   |   ascl lineage verify run-7:data/sft/ascl.jsonl
    """
    columns = (TextColumn("reading"), BarColumn(bar_width=24), DownloadColumn(), TimeElapsedColumn(), TextColumn("ETA"))
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal) as bars:
        task = bars.add_task("", total=None)
        verified = verify_lineage(repository_root(), thing, lambda done, total: bars.update(task, completed=done, total=total))
    _print(verified)


def export(
    thing: Thing,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="A folder that does not exist yet.")],
    kind: Annotated[
        Literal["pack", "openlineage"], typer.Option("--format", help="The evidence pack, or the OpenLineage events alone.")
    ] = "pack",
) -> None:
    """Write the evidence behind an artifact for others: the evidence pack (and the same as DIR.tar), or OpenLineage events.

    The pack is signed if ASCL_TRAINER_KEY names the trainer's key.

    Examples:  ascl lineage export release/1 --into evidence   |   ascl lineage export released --into events --format openlineage
    """
    into = into.resolve()
    root = repository_root()
    if kind == "openlineage":
        print_line(shown(export_events(root, thing, into), root))
        return
    tar, missing = export_pack(root, thing, into)
    print_line(f"{shown(into, root)} and {shown(tar, root)}")
    for name in missing:
        out.print(f"[yellow]missing[/] {name}", soft_wrap=True)


def _print(found: Verified) -> None:
    out.print(f"[green]verified[/] {escape(found.path)} in {escape(found.snapshot)}, sha256 {found.sha256}", soft_wrap=True)
    lines = [
        f"{counted(found.stages, 'stage')}, {counted(found.files, 'file')}, {decimal(found.size)}",
        f"{counted(found.sources, 'file')} that people wrote, {counted(found.code, 'file')} of code, {counted(found.edges, 'edge')}",
        f"{counted(found.statements, 'statement')} in the log, {found.signed} signed"
        if found.statements
        else "no log: made before there was one",
    ]
    if found.replaced:
        lines.append(f"{counted(found.replaced, 'record')} made again after others were built on it, with the same outputs")
    if found.judged:
        lines.append("evaluation and gate are about these bytes")
    if found.release:
        approvers = ", ".join(approval.approver for approval in found.release.approvals)
        lines.append(f"{found.release.tag} signed by {found.release.trainer}, approved by {approvers}")
    lines += [f"not checked, as it is not in the commit: {path}" for path in found.outside]
    for line in lines:
        print_line(f"  {line}")
    out.print(f"  in {found.seconds:.1f} s")
