"""DVC's configuration of remotes and of the cache, as this repository and its worktrees write it: each file whole, or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ascl_core.artifacts import write_text
from ascl_core.errors import ConfigError
from tasks.registry.paths import DVC_LOCAL_CONFIG
from tasks.repository import dvc
from tasks.repository.cache import cache_folder
from tasks.repository.remotes import FILES, Remote, from_environment, read_remote, read_settings

if TYPE_CHECKING:
    from configobj import ConfigObj

COPIES = "reflink,copy"
"""The type of links to the cache that leaves files of their own."""


def use_remote(root: Path, remote: Remote, *, shared: bool = False) -> None:
    """Set the remote in DVC's configuration for this machine, or with `shared` for everybody who has the repository."""
    from configobj import ConfigObj

    dvc.require_configured(root)
    read_settings(root)  # names a file that cannot be read
    file = root / FILES[0 if shared else 1]
    with dvc.one_at_a_time(root):
        config = ConfigObj(file.read_text(encoding="utf-8").splitlines() if file.exists() else [])
        config[_section(remote.name)] = remote.settings
        config["core"] = {**config.get("core", {}), "remote": remote.name}
        _write(file, config)


def share(root: Path, worktree: Path, *, link_type: str | None = None) -> None:
    """Configure `worktree` to use the cache and the remotes of `root` as `root` does, with absolute paths.

    `link_type` replaces the way in which files are linked to the cache.
    """
    from configobj import ConfigObj

    settings = read_settings(root)
    remotes = {_section(name): values for name, values in settings["remote"].items()}
    cache = {**settings["cache"], "dir": str(cache_folder(root)), **({"type": link_type} if link_type else {})}
    core = dict(settings["core"])
    if named := from_environment():
        remotes[_section(named.name)], core["remote"] = named.settings, named.name
    _write(worktree / DVC_LOCAL_CONFIG, ConfigObj({"core": core, "cache": cache, **remotes}))


def follow_environment(root: Path) -> None:
    """Set the remote that the environment names, if any, in DVC's configuration of this machine."""
    if (named := from_environment()) is None:
        return
    try:
        current = read_remote(root, environment=False)
    except ConfigError:  # what the files name may be wrong, as the environment replaces it
        current = None
    if named != current:
        use_remote(root, named)


def _section(remote: str) -> str:
    return f'remote "{remote}"'


def _write(file: Path, config: ConfigObj) -> None:
    """Write the file, unless DVC cannot read it or would read something else, such as a name without the unusual space at its end."""
    from dvc.config import Config, _lower_keys, _parse_named

    config.interpolation = False
    hint = "give the folder another name"
    with tempfile.TemporaryDirectory() as folder:
        try:
            text = "\n".join([*config.write(), ""])
            write_text(Path(folder) / "config", text)
            read = Config.load_file(str(Path(folder) / "config"))
        except OSError:
            raise
        except Exception as error:  # DVC lets the errors of its parsers through
            raise ConfigError(f"DVC could not read what would be written: {error}", file=file, hint=hint) from error
    for section, values in _parse_named(_lower_keys(config.dict())).items():
        if read.get(section) != values:
            raise ConfigError("DVC would read something else", file=file, field=section, value=values, hint=hint)
    write_text(file, text)
