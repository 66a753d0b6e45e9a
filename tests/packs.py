"""Evidence packs: whether one is as its checksums say."""

from __future__ import annotations

from pathlib import Path

from ascl_core.artifacts import sha256_tree
from ascl_core.errors import DataError
from tasks.lineage.export.pack import SIGNATURE, SUMS, TIMESTAMP
from tasks.registry.parameters import changed


def check_pack(folder: Path) -> None:
    """Raise `DataError` for the first file of a pack that differs from its checksums, or that is not among them."""
    lines = (line.partition("  ") for line in (folder / SUMS).read_text(encoding="utf-8").splitlines())
    listed = {name: sha256 for sha256, _, name in lines}
    found = {name: sha256 for name, sha256 in sha256_tree(folder).items() if name not in (SUMS, SIGNATURE, TIMESTAMP)}
    for name, wanted, sha256 in changed(listed, found):
        problem = f"SHA-256 is {sha256}, and {SUMS} says {wanted}"
        raise DataError(problem, file=folder / name, hint="get the pack again from its source")
