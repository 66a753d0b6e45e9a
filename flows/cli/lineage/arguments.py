"""What the commands of `ascl lineage` take."""

from __future__ import annotations

from typing import Annotated

import typer

Thing = Annotated[
    str,
    typer.Argument(metavar="X", help="A path, a run's id, a release's tag, released, RUN:PATH, or the beginning of a SHA-256."),
]
