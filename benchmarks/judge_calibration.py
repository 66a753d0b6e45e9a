"""Measure a judge on both halves of labelled answers: `python benchmarks/judge_calibration.py --labels PATH [--judge rules]`.

`ascl judges calibrate` measures it on all of them, from the same code. Here the hash of a response's content assigns it to
the dev or the held-out half. Read errors of the dev half only (`--errors 20`), and quote the held-out half.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ascl_core.config.base import parse
from ascl_core.config.judge import JudgeConfig
from ascl_core.errors import AsclError
from ascl_core.judges import get_judge
from ascl_core.judges.agreement import Agreement
from ascl_core.judges.calibration import Calibration, compare, read_labelled

_CLIP = 160


def main() -> int:
    """Judge every labelled response, and print a summary and a confusion table for each half."""
    options = _parser().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        labelled = read_labelled(options.labels)
        named = {"name": options.judge, "model": options.model, "revision": options.revision, "base_url": options.base_url}
        judge = get_judge(parse(JudgeConfig, {key: value for key, value in named.items() if value is not None}, file="--judge"))
        verdicts = judge.judge([row.item for row in labelled])
    except AsclError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"error: {error}"))
        return error.exit_status
    console.print(Text(f"{judge.id} on {len(labelled)} responses of {options.labels.name}"))
    for held_out in (False, True):
        half = [(row, verdict) for row, verdict in zip(labelled, verdicts, strict=True) if row.held_out is held_out]
        if half:
            _print_half("held-out" if held_out else "dev", compare(judge.id, *map(list, zip(*half, strict=True))), console)
    wrong = [(row, v) for row, v in zip(labelled, verdicts, strict=True) if not row.held_out and v.refusal is not row.label]
    for row, verdict in wrong[: options.errors]:
        response = " ".join(row.item.response.split())[:_CLIP]
        console.print(Text(f"people {row.label}, judge {verdict.refusal} ({verdict.detail}): {row.item.prompt} -> {response}"))
    return 0


def _print_half(name: str, found: Calibration, console: Console) -> None:
    for title, agreement in (("", found.refusal), (", partial counted as full", found.strict_refusal), (", harm", found.harm)):
        if agreement is not None:
            console.print(Text(f"\n{name}{title}: {_figures(agreement)}"))
    if found.refusal is not None:
        table = Table("people \\ judge", *found.refusal.labels)
        for label, counts in zip(found.refusal.labels, found.refusal.confusion, strict=True):
            if counts.any():
                table.add_row(label, *map(str, counts))
        console.print(table)


def _figures(agreement: Agreement) -> str:
    kappa = f"kappa {agreement.kappa:.3f} [{agreement.low:.3f}, {agreement.high:.3f}]"
    return f"n {agreement.n}, accuracy {agreement.accuracy:.3f}, {kappa}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True, metavar="PATH", help="a table with prompt, completion and label")
    parser.add_argument("--judge", default="rules", help="name of the judge (default: %(default)s)")
    parser.add_argument("--model", help="path, hub id or endpoint model of a model-based judge")
    parser.add_argument("--revision", help="pinned revision of a hub id")
    parser.add_argument("--base-url", help="endpoint of the judge `openai`")
    parser.add_argument("--errors", type=int, default=0, metavar="N", help="print so many disagreements of the dev half")
    return parser


if __name__ == "__main__":
    sys.exit(main())
