"""`ascl lineage verify` and `export`: whether the bytes are those that were recorded, and the evidence for others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ascl_core.text import counted
from flows.cli.console import out, print_line, repository_root, shown
from flows.cli.lineage.arguments import Thing
from tasks.lineage.export.pack import export_croissant, export_events, export_pack, send_events
from tasks.lineage.verify import VerifiedArtifact
from tasks.lineage.verify import verify as verify_lineage
from tasks.registry.stages import CHECKPOINT


def verify(thing: Thing = CHECKPOINT) -> None:
    """Recompute the digest of everything that an artifact comes from; exit status 1 and the first mismatch, or a summary of the checks.

    For a candidate checkpoint, also check that evaluation, gate and release are about these bytes. Of the rollouts of reinforcement
    learning, compute every reward and advantage again. Needs no network if the cache has all.

    Examples:  ascl lineage verify release/1   |   ascl lineage verify data/models/ifpo   |   ascl lineage verify run-7:data/sft/ascl.jsonl
    """
    started = time.monotonic()
    columns = (TextColumn("reading"), BarColumn(bar_width=24), DownloadColumn(), TimeElapsedColumn(), TextColumn("ETA"))
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal) as bars:
        task = bars.add_task("", total=None)
        verified = verify_lineage(repository_root(), thing, lambda done, total: bars.update(task, completed=done, total=total))
    _print(verified, time.monotonic() - started)


def export(
    thing: Thing,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="A folder that does not exist yet.")],
    kind: Annotated[
        Literal["pack", "openlineage", "croissant"],
        typer.Option("--format", help="The evidence pack, the OpenLineage events alone, or the data sets with their Croissant metadata."),
    ] = "pack",
) -> None:
    """Write the evidence behind an artifact for others: the evidence pack (and the same as DIR.tar), OpenLineage events, or its data sets.

    The pack is signed if ASCL_TRAINER_KEY names the trainer's key, and timestamped if ASCL_TIMESTAMP_URL names an RFC 3161 authority.
    Events are also sent to the consumer that OPENLINEAGE_URL names.

    Examples:  ascl lineage export release/1 --into evidence   |   ascl lineage export released --into events --format openlineage
    |   ascl lineage export release/1 --into data-sets --format croissant
    """
    into = into.resolve()
    root = repository_root()
    if kind == "openlineage":
        print_line(shown(export_events(root, thing, into), root))
        if sent := send_events(root, thing):
            print_line(f"{sent} events sent to the consumer that OPENLINEAGE_URL names")
        return
    if kind == "croissant":
        file, missing = export_croissant(root, thing, into)
        print_line(shown(file, root))
    else:
        tar, missing = export_pack(root, thing, into)
        print_line(f"{shown(into, root)} and {shown(tar, root)}")
    for name in missing:
        out.print(f"[yellow]missing[/] {name}")


def _print(found: VerifiedArtifact, seconds: float) -> None:
    out.print(f"[green]verified[/] {escape(found.path)} in {escape(found.snapshot)}, sha256 {found.sha256}")
    lines = [
        f"{counted(found.stages, 'stage')}, {counted(found.files, 'file')}, {decimal(found.size)}",
        f"{counted(found.sources, 'file')} that people wrote, {counted(found.code, 'file')} of code, {counted(found.edges, 'edge')}",
        f"{counted(found.statements, 'statement')} in the log, {found.signed} signed"
        if found.statements
        else "no log: made before there was one",
    ]
    if found.replaced:
        lines.append(f"{counted(found.replaced, 'record')} made again after others were built on it, with the same outputs")
    if found.rollouts:
        lines.append(f"rewards and advantages of {counted(found.rollouts, 'rollout')} follow from their terms, modes and parameters")
    if found.judged:
        lines.append("evaluation and gate are about these bytes")
    if found.release:
        approvers = ", ".join(approval.approver for approval in found.release.approvals)
        lines.append(f"{found.release.tag} signed by {found.release.trainer}, approved by {approvers}")
    lines += [f"not checked, as it is not in the commit: {path}" for path in found.outside]
    for line in lines:
        print_line(f"  {line}")
    out.print(f"  in {seconds:.1f} s")
