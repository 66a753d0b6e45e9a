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
"""Nothing that this project uses reports home."""

QUIET: Mapping[str, str] = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}
"""Prefect's console output gives way to the command line's own; its server keeps every line."""


HEARTBEAT: Mapping[str, str] = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
"""How often a flow run says that it lives; the automation that `ascl deploy` makes calls one dead that missed three."""


def prepare(root: Path, *, debug: bool = False) -> None:
    """Set the variables of a run where they are not set already; before Prefect is imported, which reads them then."""
    defaults = {**TELEMETRY_OFF, **QUIET, **HEARTBEAT, "PREFECT_HOME": str(root / ".ascl" / "prefect")}
    if debug:
        del defaults["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"]
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
