"""The environment of a run: no telemetry, quiet logs, and Prefect's own files inside the repository."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ascl_core.urls import is_address, is_this_machine
from tasks.registry.paths import CACHE, PREFECT_HOME

TELEMETRY_OFF: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""No package that this project uses sends telemetry."""

QUIET: Mapping[str, str] = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}
"""The command line prints its own output instead of Prefect's, whose server keeps every line."""

HEARTBEAT: Mapping[str, str] = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
"""Seconds between the heartbeats of a flow run; an automation of `ascl deploy` marks a run without them as crashed."""


_THIS_MACHINE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


def reach_this_machine_directly() -> None:
    """Exempt this machine from a proxy that the environment names: the servers of a run and of tests listen here."""
    server = os.environ.get("PREFECT_API_URL", "")
    of_server = urlsplit(server).hostname if is_address(server) else None
    hosts = [*_THIS_MACHINE, *([of_server] if of_server and is_this_machine(of_server) and of_server not in _THIS_MACHINE else [])]
    for name in ("NO_PROXY", "no_proxy"):
        known = [host.strip() for host in os.environ.get(name, "").split(",") if host.strip()]
        if "*" not in known:
            os.environ[name] = ",".join([*known, *(host for host in hosts if host not in known)])


def name_the_user(root: Path | None = None) -> None:
    """Give a user without an entry in the list of accounts a name and a home, as a container's may be, and caches below `root`.

    Libraries ask for all of them, and none has a value there.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
    if os.path.expanduser("~") == "~":  # noqa: PTH111  Path.home() raises
        os.environ["HOME"] = "/"
    if root is not None and not os.access(Path.home(), os.W_OK):
        os.environ.setdefault("XDG_CACHE_HOME", str(root / CACHE))
        os.environ.setdefault("MPLCONFIGDIR", str(root / CACHE / "matplotlib"))


def prepare_environment(root: Path, *, debug: bool = False) -> None:
    """Set the variables of a run that are not set yet; call it before Prefect is imported, which reads them then."""
    reach_this_machine_directly()
    name_the_user(root)
    defaults = {**TELEMETRY_OFF, **QUIET, **HEARTBEAT, "PREFECT_HOME": str(root / PREFECT_HOME)}
    if debug:
        del defaults["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"]
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
