"""`ascl lineage diff`: the differences upstream of two artifacts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from ascl_core.evaluation.figures import BY_KEY
from ascl_core.report.wording import figure
from flows.cli.console import out, repository_root
from flows.cli.lineage.arguments import NAMES, SHORT, AsJson, describe
from tasks.lineage.causes import Cause
from tasks.lineage.diff import Diff, Metric
from tasks.lineage.diff import diff as compare

_SHOWN, _DETAILS = 12, 4
"""The most causes of one kind, and details of one cause, on a terminal; `--json` has all."""
_DIGEST_LENGTHS = (32, 40, 64)


def diff(
    old: Annotated[str, typer.Argument(metavar="A", help=NAMES)],
    new: Annotated[str, typer.Argument(metavar="B", help="The same; . is the working tree.")] = ".",
    as_json: AsJson = False,
) -> None:
    """Say what differs upstream of two artifacts, the likeliest cause of changed figures first, and what provably had no effect.

    Examples:  ascl lineage diff release/1 release/2   |   ascl lineage diff released   |   ascl lineage diff 3f9ab2 77c0de --json
    """
    found = compare(repository_root(), old, new)
    if as_json:
        out.print_json(json.dumps(found.to_json()))
    else:
        _print(found)


def _print(found: Diff) -> None:
    for side, one in (("A", found.old), ("B", found.new)):
        out.print(f"[bold]{side}[/] {escape(describe(one))}")
    if found.metrics:
        _print_metrics(found)
    out.print("\n[bold]Possible causes, the likeliest first[/]")
    _print_causes([(one.cause, f"through {', '.join(one.through)}") for one in found.ranked], numbered=True)
    if not found.ranked:
        out.print("  nothing: no difference reached it")
    if found.without:
        out.print("\n[bold]Without effect[/]")
        _print_causes([(one.cause, one.why) for one in found.without], numbered=False)
    for line in found.missing:
        out.print(f"[yellow]not compared[/] {escape(line)}")


def _print_metrics(found: Diff) -> None:
    out.print("\n[bold]Figures of the evaluation, with 95 % intervals[/]")
    for metric in found.metrics:
        if metric.before != metric.after:
            verdict = {None: "", True: "  [bold]outside both[/]", False: "  [dim]within[/]"}[metric.outside]
            out.print(f"  {escape(_figures(metric))}{verdict}")
    same = sum(metric.before == metric.after for metric in found.metrics)
    out.print(f"  {same} of {len(found.metrics)} figures are the same")
    if found.answers is not None:
        total = found.answers.total + found.answers.same
        out.print(f"  {found.answers.total} of {total} answers differ")


def _figures(metric: Metric) -> str:
    kind = BY_KEY[metric.key].kind
    return f"{metric.name}: {figure(metric.before, kind)} → {figure(metric.after, kind)}"


def _print_causes(causes: list[tuple[Cause, str]], *, numbered: bool) -> None:
    shown: Counter[str] = Counter()
    for number, (cause, why) in enumerate(causes, start=1):
        shown[cause.kind] += 1
        if shown[cause.kind] > _SHOWN:
            continue
        label = f"{number:3}. " if numbered else "  "
        out.print(f"{label}[bold]{escape(cause.kind)}[/] {escape(_cause(cause))}  [dim]{escape(why)}[/]")
        for line in cause.details[:_DETAILS] if numbered else ():
            out.print(f"       {escape(line)}")
        if numbered and len(cause.details) > _DETAILS:
            out.print(f"       and {len(cause.details) - _DETAILS} more: --json")
    for kind, count in shown.items():
        if count > _SHOWN:
            out.print(f"  and {count - _SHOWN} more of the kind {kind}: --json")


def _cause(cause: Cause) -> str:
    values = "" if cause.before == cause.after else f": {_value(cause.before)} → {_value(cause.after)}"
    return f"{cause.what}{values}{f' ({cause.description})' if cause.description else ''}"


def _value(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text[:SHORT] if len(text) in _DIGEST_LENGTHS and " " not in text else text
