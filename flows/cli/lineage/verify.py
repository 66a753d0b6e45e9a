"""`ascl lineage verify`: whether the bytes are those that were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.cli.console import COLOURS, counted, out, repository_root
from flows.cli.lineage.arguments import Thing

if TYPE_CHECKING:
    from tasks.lineage.verify import Verified


def verify(thing: Thing = "data/models/ifpo") -> None:
    """Recompute every digest upstream of an artifact; print what was checked, or exit with status 1 and the first mismatch.

    For a candidate checkpoint, also check evaluation, gate and release. No network is needed if the cache is complete.

    Examples:  ascl lineage verify release/1   |   ascl lineage verify data/models/ifpo   |   ascl lineage verify run-7:data/sft/ascl.jsonl
    """
    from tasks.lineage.verify import verify as verify_lineage

    columns = (TextColumn("reading"), BarColumn(bar_width=24), DownloadColumn(), TimeElapsedColumn(), TextColumn("ETA"))
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal) as bars:
        task = bars.add_task("", total=None)
        verified = verify_lineage(repository_root(), thing, lambda done, total: bars.update(task, completed=done, total=total))
    _print(verified)


def _print(found: Verified) -> None:
    out.print(f"[{COLOURS['ok']}]holds[/] {escape(found.path)} in {escape(found.snapshot)}, sha256 {found.sha256}", soft_wrap=True)
    lines = [
        f"{counted(found.stages, 'stage')}, {counted(found.files, 'file')}, {decimal(found.size)}",
        f"{counted(found.sources, 'file')} that people wrote, {counted(found.code, 'file')} of code, {counted(found.edges, 'edge')}",
        f"{counted(found.statements, 'statement')} in the log, {found.signed} signed"
        if found.statements
        else "no log: made before there was one",
    ]
    if found.replaced:
        lines.append(f"{counted(found.replaced, 'record')} replaced after others had read it, with the same outputs")
    if found.judged:
        lines.append("evaluation and gate are about these bytes")
    if found.release:
        approvers = ", ".join(approval.approver for approval in found.release.approvals)
        lines.append(f"{found.release.tag} signed by {found.release.trainer}, approved by {approvers}")
    lines += [f"not checked, as the commit does not have it: {path}" for path in found.outside]
    for line in lines:
        out.print(f"  {escape(line)}", soft_wrap=True)
    out.print(f"  in {found.seconds:.1f} s")
