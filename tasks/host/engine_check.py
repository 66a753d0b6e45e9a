"""Check what the engine of the parameters needs: its packages, and a scheduler that answers."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from ascl_core.contracts import Engine
from ascl_core.errors import ConfigError
from tasks.host.interpreter import has_module
from tasks.registry.paths import PARAMETERS

_PACKAGE = "prefect_dask"
_ANSWER_S = 5.0


def engine_problem(engine: Engine) -> ConfigError | None:
    """Return why nothing can run on the engine: its packages are not installed, or its scheduler does not answer."""

    def problem(field: str, found: str, hint: str) -> ConfigError:
        return ConfigError(found, file=PARAMETERS, field=f"engine.{field}", value=getattr(engine, field), hint=hint)

    if engine.name != "dask":
        return None
    if not has_module(_PACKAGE):
        return problem("name", "needs a package that is not installed", "install the dask extra, or set it to local")
    if engine.address is None:
        return None
    try:
        scheduler = urlsplit(engine.address)
        with socket.create_connection((scheduler.hostname or "", scheduler.port or 0), timeout=_ANSWER_S):
            return None
    except (OSError, ValueError) as error:
        start = "check it, start the scheduler (dask scheduler), or leave it out: then the stage starts its own workers"
        return problem("address", f"no Dask scheduler answers: {error}", start)
