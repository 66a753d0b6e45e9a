"""DVC's configuration of remotes and of the cache, as this repository and its worktrees write it."""

from __future__ import annotations

import configparser
import os
from io import StringIO
from pathlib import Path

from ascl_core.artifacts import write_text
from tasks.repository import dvc
from tasks.repository.remotes import Remote, from_environment, read_remote, read_settings


def use_remote(root: Path, remote: Remote, *, shared: bool = False) -> None:
    """Make the remote the one of this machine, or with `shared` that of everybody who has the repository."""
    dvc.ensure(root)
    level = [] if shared else ["--local"]
    settings = {f"remote.{remote.name}.{name}": value for name, value in remote.settings.items()}
    dvc.run_alone(root, "remote", "remove", *level, remote.name)
    for name, value in (*settings.items(), ("core.remote", remote.name)):
        dvc.call(root, "config", *level, name, value, hint="read .dvc/config and .dvc/config.local")


def share(root: Path, place: Path) -> None:
    """Have `place`, another working tree, use the cache and the remotes of `root`, relative ones by where they are."""
    local, settings = configparser.ConfigParser(interpolation=None), read_settings(root)
    for section, values in settings.items():
        if section.startswith("remote "):
            url = values.get("url", "")
            local[f"'{section}'"] = values if "://" in url else {**values, "url": os.path.normpath(root.resolve() / ".dvc" / url)}
    local["core"] = {"remote": remote} if (remote := settings.get("core", {}).get("remote")) else {}
    local["cache"] = {"dir": os.path.normpath(root.resolve() / ".dvc" / settings.get("cache", {}).get("dir", "cache"))}
    if named := from_environment():
        local[f"'remote \"{named.name}\"'"], local["core"] = named.settings, {"remote": named.name}
    text = StringIO()
    local.write(text)
    write_text(place / ".dvc" / "config.local", text.getvalue())


def follow_environment(root: Path) -> None:
    """Have DVC use the remote that the environment names, where it names one; it is written down for this machine."""
    named = from_environment()
    if named and named != read_remote(root, environment=False):
        use_remote(root, named)
