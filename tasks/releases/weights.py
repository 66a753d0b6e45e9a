"""What a released checkpoint may consist of: safetensors and text. A pickle runs code when it is read, whatever its name."""

from __future__ import annotations

from pathlib import Path

from ascl_core.errors import AsclError, ReleaseError
from ascl_core.generation.shards import WEIGHTS, check_shards

ALLOWED = frozenset({WEIGHTS, ".json", ".jinja", ".txt", ".md", ".model"})
"""Endings of files; `.model` is a SentencePiece vocabulary, `.py` would be remote code."""
_HINT = "save it as safetensors, and run again"


def check_weights(folder: Path) -> None:
    """Check a checkpoint's files; `ReleaseError` names the first that is of another kind, is a link, or holds no safetensors.

    There must be at least one safetensors file, and an index may name only weights that exist.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    for file in files:
        if file.is_symlink() or file.suffix not in ALLOWED:
            raise ReleaseError(
                "may not be in a released checkpoint: a pickle could run code, a link could lead elsewhere", file=file, hint=_HINT
            )
        if file.suffix == WEIGHTS:
            _check_safetensors(file)
    if not any(file.suffix == WEIGHTS for file in files):
        raise ReleaseError("has no safetensors file", file=folder, hint=_HINT)
    try:
        check_shards(folder)
    except AsclError as error:
        raise ReleaseError(error.problem, file=error.file, field=error.field, value=error.value, hint=_HINT) from None


def _check_safetensors(file: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            opened.keys()
    except (SafetensorError, OSError) as error:
        raise ReleaseError(f"is not safetensors inside: {error}", file=file, hint=_HINT) from None
