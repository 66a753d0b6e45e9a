"""`params.yaml`: its values, where they come from, and how they differ."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_yaml
from ascl_core.config.params import Params, load_params
from ascl_core.config.profiles import override, resolve_profile
from ascl_core.errors import ConfigError
from tasks.registry.paths import PARAMETERS

_COMMAND = "ascl params write"


@dataclass(frozen=True)
class Origin:
    """The profile and the settings from which `params.yaml` was resolved."""

    profile: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join([*_COMMAND.split(), "--profile", self.profile, *(word for s in self.settings for word in ("--set", s))])


def planned_values(root: Path, profile: str | None, settings: Sequence[str] = ()) -> dict[str, Any]:
    """Return what `params.yaml` would contain in a run with this profile and these settings; writes nothing."""
    if profile is None and not settings:
        load_params(root / PARAMETERS)
        return dict(read_yaml(root / PARAMETERS) or {})
    return resolve(root, profile, settings)[0].model_dump(mode="json")


def read_origin(root: Path) -> Origin | None:
    """Return the profile and settings that the file's first line names, if they still give exactly its values."""
    path = root / PARAMETERS
    try:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        origin = parse_origin(first)
        if origin is not None and resolve_profile(root, origin.profile, origin.settings) == load_params(path):
            return origin
    except (OSError, UnicodeDecodeError, ConfigError):
        return None
    return None


def parse_origin(line: str) -> Origin | None:
    """Return the profile and settings that a first line names, whatever the rest of the file says; None if it names none."""
    if not line.startswith(f"# {_COMMAND} --profile "):
        return None
    try:
        words = shlex.split(line.removeprefix(f"# {_COMMAND} "))
    except ValueError:
        return None
    options = list(zip(words[::2], words[1::2], strict=False))
    settings = tuple(value for option, value in options[1:] if option == "--set")
    return Origin(options[0][1], settings) if len(words) == 2 * len(options) else None


def resolve(root: Path, profile: str | None, settings: Sequence[str]) -> tuple[Params, Origin | None]:
    """Resolve the defaults, the profile and the settings; without a profile, the current file and the settings."""
    if profile is None:
        origin = read_origin(root)
        if origin is None:
            return override(read_yaml(root / PARAMETERS) or {}, settings, file=root / PARAMETERS), None
        profile, settings = origin.profile, (*origin.settings, *settings)
    return resolve_profile(root, profile, settings), Origin(profile, tuple(settings))


def flat(values: Any, above: str = "") -> dict[str, Any]:
    """Return nested values by dotted key.

    >>> flat({"a": {"b": 1, "c": []}, "d": None})
    {'a.b': 1, 'a.c': [], 'd': None}
    """
    if not isinstance(values, Mapping) or not values:
        return {above: values} if above else {}
    return {key: value for name, below in values.items() for key, value in flat(below, f"{above}.{name}" if above else name).items()}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key, sorted, whose values differ, with both values; None for a missing one."""
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def differing(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the differences of nested values in their own order, by dotted key below `name`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from differing(f"{name}.{key}", before.get(key), after.get(key))
    elif before != after:
        yield name, before, after
