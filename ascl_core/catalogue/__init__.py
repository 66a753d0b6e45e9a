"""The catalogue of public data sets that the pipeline reads in their own formats: one YAML file each, with facts and none of the rows."""

from __future__ import annotations

import difflib
import functools
from pathlib import Path

from ascl_core.artifacts import read_yaml
from ascl_core.catalogue.dataset import Dataset
from ascl_core.config.base import parse
from ascl_core.errors import ConfigError

_FOLDER = Path(__file__).parent


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the data sets, sorted; each names a file here, and a format of a source."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@functools.cache
def dataset(name: str) -> Dataset:
    """Return the data set of that name; if there is none, `ConfigError` suggests the nearest name."""
    if name not in names():
        raise ConfigError("no such public data set", field="format", value=name, hint=nearest(name))
    path = _FOLDER / f"{name}.yaml"
    return parse(Dataset, read_yaml(path), file=path)


def nearest(name: str, others: tuple[str, ...] = ()) -> str:
    """Return a hint with the nearest known name."""
    known = (*others, *names())
    near = [other for other in known if name in other] or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
