"""Whether this machine has what the engine of the parameters needs: its packages, and a scheduler that answers."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from urllib.parse import urlsplit

from ascl_core.contracts import Engine
from ascl_core.errors import ConfigError

_PACKAGE = "prefect_dask"
_ANSWER_S = 5.0


def engine_problem(engine: Engine) -> ConfigError | None:
    """Why nothing can run on the engine now: its packages are not installed, or its scheduler does not answer."""

    def problem(field: str, found: str, hint: str) -> ConfigError:
        return ConfigError(found, file="params.yaml", field=f"engine.{field}", value=getattr(engine, field), hint=hint)

    if engine.name != "dask":
        return None
    if find_spec(_PACKAGE) is None:
        return problem("name", "needs a package that is not installed", "install the dask extra, or set it to local")
    if engine.address is None:
        return None
    try:
        place = urlsplit(engine.address)
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=_ANSWER_S):
            return None
    except (OSError, ValueError) as error:
        start = "check it, start the scheduler (dask scheduler), or leave it out: then the stage starts workers of its own"
        return problem("address", f"no Dask scheduler answers: {error}", start)
