"""DVC's configuration of remotes and of the cache, as this repository and its worktrees write it."""

from __future__ import annotations

import configparser
from io import StringIO
from pathlib import Path

from ascl_core.artifacts import write_text
from tasks.repository import dvc
from tasks.repository.cache import cache_folder
from tasks.repository.remotes import Remote, dvc_path, from_environment, read_remote, read_settings


def use_remote(root: Path, remote: Remote, *, shared: bool = False) -> None:
    """Set the remote in DVC's configuration for this machine, or with `shared` for everybody who has the repository."""
    dvc.require_configured(root)
    level = [] if shared else ["--local"]
    settings = {f"remote.{remote.name}.{name}": value for name, value in remote.settings.items()}
    dvc.run_exclusively(root, "remote", "remove", *level, remote.name)
    for name, value in (*settings.items(), ("core.remote", remote.name)):
        dvc.call(root, "config", *level, name, value, hint="read .dvc/config and .dvc/config.local")


def share(root: Path, worktree: Path) -> None:
    """Configure `worktree` to use the cache and the remotes of `root`, with absolute paths."""
    local, settings = configparser.ConfigParser(interpolation=None), read_settings(root)
    for section, values in settings.items():
        if section.startswith("remote "):
            url = values.get("url", "")
            local[f"'{section}'"] = values if "://" in url else {**values, "url": dvc_path(root, url)}
    local["core"] = {"remote": remote} if (remote := settings.get("core", {}).get("remote")) else {}
    local["cache"] = {"dir": str(cache_folder(root))}
    if named := from_environment():
        local[f"'remote \"{named.name}\"'"], local["core"] = named.settings, {"remote": named.name}
    text = StringIO()
    local.write(text)
    write_text(worktree / ".dvc" / "config.local", text.getvalue())


def follow_environment(root: Path) -> None:
    """Set the remote that the environment names, if any, in DVC's configuration of this machine."""
    named = from_environment()
    if named and named != read_remote(root, environment=False):
        use_remote(root, named)
