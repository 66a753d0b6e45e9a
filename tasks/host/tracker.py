"""The experiment tracker to which this machine reports its runs, if any.

It is a setting of the machine, like keys and stores, and no parameter: it changes no output, so the same run has the same commit wherever
it is tracked, and switching a tracker on leaves `params.yaml` committed as it is.
"""

from __future__ import annotations

import importlib.util
import os

from ascl_core.errors import ConfigError, nearest
from tasks.repository.remote_check import Check

VARIABLE = "ASCL_TRACKING"
NONE = "none"
TRACKERS = ("tensorboard", "mlflow", "wandb", "trackio")
"""Each is the name of the package that it needs, too."""


def chosen_tracker() -> str | None:
    """Return the tracker that the environment names; None without one. `ConfigError` if it is not known."""
    name = os.environ.get(VARIABLE, "").strip() or NONE
    if name not in (NONE, *TRACKERS):
        raise ConfigError("no such tracker", field=VARIABLE, value=name, hint=nearest(name, (NONE, *TRACKERS)))
    return None if name == NONE else name


def tracker_check() -> Check:
    """Check the name of the tracker and whether its package is installed; without the package a run goes on, and is not tracked."""
    try:
        name = chosen_tracker()
    except ConfigError as error:
        return Check(VARIABLE, "error", f"{error.problem}: {error.value}", error.hint or "")
    if name is None:
        return Check("tracking", "ok", f"none ({VARIABLE} is not set)")
    if importlib.util.find_spec(name) is None:
        return Check("tracking", "warning", f"{name} is not installed, so runs are not tracked", f"uv pip install {name}")
    return Check("tracking", "ok", name)
