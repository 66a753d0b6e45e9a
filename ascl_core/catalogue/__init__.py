"""The catalogue of public data sets that the pipeline reads in their own formats: one YAML file each, with facts and none of the rows."""

from __future__ import annotations

import functools
from pathlib import Path

from ascl_core import errors
from ascl_core.artifacts import read_yaml
from ascl_core.catalogue.dataset import Dataset
from ascl_core.config.base import parse

_FOLDER = Path(__file__).parent


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the data sets, sorted; each names a file here, and a format of a source."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@functools.cache
def dataset(name: str) -> Dataset:
    """Return the data set of that name; if there is none, `ConfigError` suggests the nearest name."""
    if name not in names():
        raise errors.ConfigError("no such public data set", value=name, hint=nearest(name, command="ascl suites list"))
    path = _FOLDER / f"{name}.yaml"
    return parse(Dataset, read_yaml(path), file=path)


def nearest(name: str, others: tuple[str, ...] = (), command: str = "") -> str:
    """Return a hint with the nearest known name, and the command that lists them."""
    known = (*others, *names())
    return errors.nearest(next((other for other in known if name in other), name), known, command=command)
