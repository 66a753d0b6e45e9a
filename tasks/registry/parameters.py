"""`params.yaml`: resolving a profile into it without ever losing an edit that a person made there."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.config.params import Params, load_params
from ascl_core.config.profiles import override, resolve_profile, to_yaml
from ascl_core.errors import ConfigError

FILE = "params.yaml"
_COMMAND = "ascl params write"
_EXPLAINED = "Every key is explained in docs/configuration.md."


@dataclass(frozen=True)
class Origin:
    """Which profile and which settings `params.yaml` was resolved from."""

    profile: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join([*_COMMAND.split(), "--profile", self.profile, *(word for s in self.settings for word in ("--set", s))])


def write_params(root: Path, profile: str | None, settings: Sequence[str] = (), *, overwrite: bool = False) -> Params:
    """Resolve into `params.yaml` and return what is in it now; without profile and settings the file is left alone.

    `ConfigError` where a profile would replace values that neither a profile nor git's HEAD could give back.
    """
    path = root / FILE
    if profile is None and not settings:
        return load_params(path)
    params, origin = _resolve(root, profile, settings)
    if profile is not None and not overwrite and read_origin(root) is None and _only_copy(root):
        raise ConfigError(
            "holds values that were edited by hand and are in no commit; the profile would replace them",
            file=path,
            hint="commit them, keep them (leave out --profile), or replace them (--overwrite-params)",
        )
    text = to_yaml(params, f"{origin or 'Edited by hand.'}\n{_EXPLAINED}")
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return params


def planned_values(root: Path, profile: str | None, settings: Sequence[str] = ()) -> dict[str, Any]:
    """What `params.yaml` would say in a run with this profile and these settings; writes nothing."""
    if profile is None and not settings:
        load_params(root / FILE)
        return dict(read_yaml(root / FILE) or {})
    return _resolve(root, profile, settings)[0].model_dump(mode="json")


def read_origin(root: Path) -> Origin | None:
    """The profile and settings that the file's first line names, if they still give exactly its values."""
    path = root / FILE
    try:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        origin = parse_origin(first)
        if origin is not None and resolve_profile(root, origin.profile, origin.settings) == load_params(path):
            return origin
    except (OSError, UnicodeDecodeError, ConfigError):
        return None
    return None


def parse_origin(line: str) -> Origin | None:
    """The profile and settings that a first line names, whatever the file says now; None where it names none."""
    if not line.startswith(f"# {_COMMAND} --profile "):
        return None
    try:
        words = shlex.split(line.removeprefix(f"# {_COMMAND} "))
    except ValueError:
        return None
    options = list(zip(words[::2], words[1::2], strict=False))
    settings = tuple(value for option, value in options[1:] if option == "--set")
    return Origin(options[0][1], settings) if len(words) == 2 * len(options) else None


def _resolve(root: Path, profile: str | None, settings: Sequence[str]) -> tuple[Params, Origin | None]:
    """With a profile: the defaults, the profile, the settings. Without: what is there, with the settings laid over it."""
    if profile is None:
        origin = read_origin(root)
        if origin is None:
            return override(read_yaml(root / FILE) or {}, settings, file=root / FILE), None
        profile, settings = origin.profile, (*origin.settings, *settings)
    return resolve_profile(root, profile, settings), Origin(profile, tuple(settings))


def _only_copy(root: Path) -> bool:
    """Whether the file's present text is in no commit at HEAD."""
    path = root / FILE
    if not path.exists():
        return False
    committed = subprocess.run(["git", "show", f"HEAD:./{FILE}"], cwd=root, capture_output=True, check=False)
    return committed.returncode != 0 or committed.stdout != path.read_bytes()


def flat(values: Any, above: str = "") -> dict[str, Any]:
    """Nested values by dotted key.

    >>> flat({"a": {"b": 1, "c": []}, "d": None})
    {'a.b': 1, 'a.c': [], 'd': None}
    """
    if not isinstance(values, Mapping) or not values:
        return {above: values} if above else {}
    return {key: value for name, below in values.items() for key, value in flat(below, f"{above}.{name}" if above else name).items()}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each key, sorted, under which the two have another value, with both; None where one of them has none."""
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def differing(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """The same for nested values, in their own order and by dotted key below `name`: a value within only one of them is one difference."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from differing(f"{name}.{key}", before.get(key), after.get(key))
    elif before != after:
        yield name, before, after
