"""What the commands of `ascl lineage` have in common."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import err, out

if TYPE_CHECKING:
    from tasks.evidence.graph import Found

NAMES = "A path, a run's id, a release's tag, released, RUN:PATH, or the first digits of a SHA-256."
Thing = Annotated[str, typer.Argument(metavar="X", help=NAMES)]
Fetch = Annotated[bool, typer.Option("--fetch", help="Fetch missing files from the remote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]
SHORT = 12
"""Digits of a SHA-256 in a table."""
_SHOWN = 4


def print_line(text: str) -> None:
    """Print untrusted text as it is."""
    out.print(text, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one value."""
    print_line(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def named(found: Found) -> str:
    """Return what an artifact is, in one line."""
    return f"{found.path} in {found.snapshot.name}, sha256 {found.sha256}"


def shortened(texts: Sequence[str], shown: int = _SHOWN) -> str:
    """Return the first texts, and how many more there are."""
    return ", ".join(texts[:shown]) + (f" and {len(texts) - shown} more" if len(texts) > shown else "")


def print_progress(data_set: str) -> None:
    """Say why an answer takes longer."""
    err.print(f"reading {data_set} for the first time", markup=False, style="dim")


def print_unavailable(names: Sequence[str]) -> None:
    """Say what the answer does not cover."""
    if names:
        err.print(f"not searched, as not available here: {shortened(names)}; --fetch gets them", markup=False, style="yellow")


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)
