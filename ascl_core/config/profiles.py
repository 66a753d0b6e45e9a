"""Profiles: named parameter files under `profiles/`, laid over the defaults; nothing in the code asks which one it is.

A profile that says `extends: NAME` is laid over that profile.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ascl_core.artifacts import parse_yaml, read_yaml
from ascl_core.config.base import parse
from ascl_core.config.params import Params, merge
from ascl_core.errors import ConfigError

FOLDER = "profiles"
EXTENDS = "extends"


def profile_names(root: Path) -> list[str]:
    """The names of the profiles of a repository, sorted."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.yaml"))


def read_profile(root: Path, name: str) -> dict[str, Any]:
    """What a profile changes of the defaults, laid over what the profile that it extends changes.

    `ConfigError` names the nearest profile where there is none of that name, and profiles that extend each other.
    """
    return _read_profile(root, name, root / FOLDER, "--profile", ())


def parse_setting(setting: str) -> dict[str, Any]:
    """`sft.max_steps=10` as nested values; the value is read as YAML.

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


def lay_over(values: dict[str, Any], settings: Sequence[str], *, file: object) -> Params:
    """`values` with the settings laid over them, checked together; `ConfigError` names the file, or the settings at fault."""
    params = parse(Params, values, file=file)
    if not settings:
        return params
    for setting in settings:
        values = merge(values, parse_setting(setting))
    return parse(Params, values, file=" ".join(f"--set {setting}" for setting in settings))


def resolve_profile(root: Path, name: str, settings: Sequence[str] = ()) -> Params:
    """The defaults, the profile laid over them, and the settings over both."""
    return lay_over(read_profile(root, name), settings, file=root / FOLDER / f"{name}.yaml")


def to_yaml(params: Params, header: str) -> str:
    """Every parameter with its value, as YAML under a comment of one or more lines."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    text = StringIO()
    yaml.dump(params.model_dump(mode="json"), text)
    return "".join(f"# {line}\n" for line in header.splitlines()) + text.getvalue()


def _read_profile(root: Path, name: Any, asked_in: Path, field: str, above: tuple[str, ...]) -> dict[str, Any]:
    """`asked_in` and `field` say where the name stands, `above` which profiles extend this one."""
    names = profile_names(root)
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"profiles: {', '.join(names) or 'none'}"
        raise ConfigError("no such profile", file=asked_in, field=field, value=name, hint=hint)
    if name in above:
        circle = " → ".join([*above, name])
        raise ConfigError("profiles extend each other in a circle", file=asked_in, field=field, value=circle, hint="leave one of them out")
    path = root / FOLDER / f"{name}.yaml"
    values = _mapping(read_yaml(path), path)
    if EXTENDS not in values:
        return values
    base = values.pop(EXTENDS)
    below = _read_profile(root, base, path, EXTENDS, (*above, name))
    parse(Params, below, file=root / FOLDER / f"{base}.yaml")  # so that a mistake in it is said to be in it
    return merge(below, values)


def _mapping(values: Any, path: Path) -> dict[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError("expected sections, each with its keys", file=path, value=values, hint="write SECTION:, and under it KEY: VALUE")
    return values
