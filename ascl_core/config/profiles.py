"""Profiles: named parameter files under `profiles/` that override the defaults; no code depends on a profile's name.

A profile with `extends: NAME` overrides that profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ascl_core.artifacts import parse_yaml, read_yaml
from ascl_core.config.base import parse
from ascl_core.config.params import Params, merge
from ascl_core.errors import ConfigError, nearest

FOLDER = "profiles"
EXTENDS = "extends"


def profile_names(root: Path) -> list[str]:
    """Return the names of the profiles of a repository, sorted."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.yaml"))


def read_profile(root: Path, name: str) -> dict[str, Any]:
    """Return the values that a profile, with the profiles that it extends, sets.

    `ConfigError` names the nearest profile for an unknown name, and the profiles that extend each other.
    """
    return _read_profile(root, name, root / FOLDER, "--profile", ())


def parse_setting(setting: str) -> dict[str, Any]:
    """Return a setting such as `sft.max_steps=10` as nested values; the value is YAML.

    >>> parse_setting("sft.max_steps=10")
    {'sft': {'max_steps': 10}}
    """
    key, equals, text = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError("expected SECTION.KEY=VALUE", field="--set", value=setting, hint="for example --set sft.max_steps=10")
    value = parse_yaml(text, field=f"--set {key}")
    nested: dict[str, Any] = {parts[-1]: value}
    for part in reversed(parts[:-1]):
        nested = {part: nested}
    return nested


def override(values: dict[str, Any], settings: Sequence[str], *, file: object) -> Params:
    """Return `values` overridden by the settings; `ConfigError` names the file or the settings at fault."""
    params = parse(Params, values, file=file)
    if not settings:
        return params
    for setting in settings:
        values = merge(values, parse_setting(setting))
    return parse(Params, values, file=" ".join(f"--set {setting}" for setting in settings))


def resolve_profile(root: Path, name: str, settings: Sequence[str] = ()) -> Params:
    """Return the defaults overridden by the profile, and both by the settings."""
    return override(read_profile(root, name), settings, file=root / FOLDER / f"{name}.yaml")


def to_yaml(params: Params, header: str) -> str:
    """Return every parameter with its value as YAML, under the header as a comment."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    text = StringIO()
    yaml.dump(params.model_dump(mode="json"), text)
    return "".join(f"# {line}\n" for line in header.splitlines()) + text.getvalue()


def _read_profile(root: Path, name: Any, asked_in: Path, field: str, above: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of a profile; `asked_in` and `field` locate its name, `above` are the profiles that extend it."""
    names = profile_names(root)
    if name not in names:
        raise ConfigError("no such profile", file=asked_in, field=field, value=name, hint=nearest(str(name), names))
    if name in above:
        cycle = " → ".join([*above, name])
        raise ConfigError(
            "the profiles extend each other in a cycle", file=asked_in, field=field, value=cycle, hint="leave one of them out"
        )
    path = root / FOLDER / f"{name}.yaml"
    values = _mapping(read_yaml(path), path)
    if EXTENDS not in values:
        return values
    base = values.pop(EXTENDS)
    below = _read_profile(root, base, path, EXTENDS, (*above, name))
    parse(Params, below, file=root / FOLDER / f"{base}.yaml")  # so that an error names the file that it is in
    return merge(below, values)


def _mapping(values: Any, path: Path) -> dict[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError("expected sections, each with its keys", file=path, value=values, hint="write SECTION:, and under it KEY: VALUE")
    return values
