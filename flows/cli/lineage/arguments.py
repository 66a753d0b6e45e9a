"""What the commands of `ascl lineage` take and say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from flows.cli.console import err, out

Thing = Annotated[
    str,
    typer.Argument(metavar="X", help="A path, a run's id, a release's tag, released, RUN:PATH, or the beginning of a SHA-256."),
]
Fetch = Annotated[bool, typer.Option("--fetch", help="Bring from the remote what is not at hand.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
_SHOWN = 4


def print_json(value: Any) -> None:
    """One value on standard output."""
    out.print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain), soft_wrap=True, markup=False)


def say_made(data_set: str) -> None:
    """Say that an answer takes longer now."""
    err.print(f"reading {data_set} for the first time", markup=False, style="dim")


def say_not_at_hand(names: Sequence[str]) -> None:
    """Say what the answer does not cover."""
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        err.print(f"not looked into, as not at hand: {', '.join(names[:_SHOWN])}{more}; --fetch brings them", markup=False, style="yellow")


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)
