"""The environment of a run: no telemetry, quiet logs, and Prefect's own files inside the repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

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


def prepare_environment(root: Path, *, debug: bool = False) -> None:
    """Set the variables of a run that are not set yet; call it before Prefect is imported, which reads them then."""
    defaults = {**TELEMETRY_OFF, **QUIET, **HEARTBEAT, "PREFECT_HOME": str(root / ".ascl" / "prefect")}
    if debug:
        del defaults["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"]
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
