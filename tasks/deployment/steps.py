"""The pull step of the deployments: a flow run works in the repository of its worker."""

from __future__ import annotations

import os
from pathlib import Path

import tasks
from ascl_core.errors import WorkspaceError
from tasks.registry.paths import PREFECT_YAML
from tasks.registry.stages import RULES

ROOT = "ASCL_ROOT"


def enter_repository() -> dict[str, str]:
    """Change into the repository: `ASCL_ROOT`, or else where the worker was started, or else where this code is; return it for Prefect.

    `WorkspaceError` if `ASCL_ROOT` names no repository, or none is found.
    """
    given = os.environ.get(ROOT)
    candidates = [Path(given)] if given else [Path(os.environ.get("PWD", ".")), Path(tasks.__file__).parents[1]]
    for folder in candidates:
        if (folder / RULES.path).is_dir() and (folder / PREFECT_YAML).is_file():
            os.chdir(folder)
            return {"directory": str(folder.absolute())}
    hint = f"start the worker in the clone, or export {ROOT}=…, the folder of the clone"
    raise WorkspaceError("the worker is in no ascl repository", field=ROOT, value=given, hint=hint)
