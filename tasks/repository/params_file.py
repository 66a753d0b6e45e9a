"""Write `params.yaml` without losing edits that people made there and that no commit has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ascl_core.artifacts import write_text
from ascl_core.config.params import Params, load_params
from ascl_core.config.profiles import to_yaml
from ascl_core.errors import ConfigError, WorkspaceError
from tasks.registry.parameters import read_origin, resolve
from tasks.registry.paths import PARAMETERS
from tasks.repository.git import commit_of, show

_EXPLAINED = "Every key is explained in docs/configuration.md."


def write_params(root: Path, profile: str | None, settings: Sequence[str] = (), *, overwrite: bool = False) -> Params:
    """Resolve the profile and settings into `params.yaml` and return its parameters; without them, the file is only read.

    `ConfigError` if a profile would replace values that are neither in a profile nor in git's HEAD.
    """
    path = root / PARAMETERS
    if profile is None and not settings:
        return load_params(path)
    params, origin = resolve(root, profile, settings)
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


def _only_copy(root: Path) -> bool:
    """Return whether the file differs from that at HEAD."""
    path = root / PARAMETERS
    if not path.exists():
        return False
    try:
        return commit_of(root, "HEAD") is None or show(root, "HEAD", Path(PARAMETERS), missing=b"") != path.read_bytes()
    except WorkspaceError as error:
        if "not a git repository" not in error.problem:
            raise
        return True
