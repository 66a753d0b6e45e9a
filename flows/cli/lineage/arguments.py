"""The arguments and messages that the commands of `ascl lineage` share."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ascl_core.text import some
from flows.cli.console import err, out
from tasks.evidence.graph import Found

NAMES = "A path, a run's id, a release's tag, released, RUN:PATH, or the first digits of a SHA-256."
Thing = Annotated[str, typer.Argument(metavar="X", help=NAMES)]
Fetch = Annotated[bool, typer.Option("--fetch", help="Fetch missing data from the remote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the complete answer as JSON.")]
SHORT = 12
"""As many digits of a digest as a table shows."""


def describe(found: Found) -> str:
    """Return the artifact's path, the working tree or commit that holds it, and its digest."""
    return f"{found.path} in {found.snapshot.name}, sha256 {found.sha256}"


def print_json(value: Any) -> None:
    """Print one value on standard output."""
    out.print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain), markup=False)


def print_progress(data_set: str) -> None:
    """Say on standard error why the answer takes longer this time."""
    err.print(f"reading {data_set} for the first time", markup=False, style="dim")


def print_missing(names: Sequence[str]) -> None:
    """Say on standard error which data sets the answer leaves out."""
    if names:
        err.print(f"left out, as missing here: {some(names)}; --fetch gets them", markup=False, style="yellow")


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)
