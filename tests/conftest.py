"""Tests see nothing of the person who runs them: no settings of git, DVC, Prefect or ascl, neither files nor variables."""

from __future__ import annotations

import os
from pathlib import Path

_OURS = {"ASCL_SCREENSHOTS"}
"""What a person may say to the tests themselves."""
_NOWHERE = str(Path(__file__).parent / "no-such-folder")
_NO_SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "DVC_GLOBAL_CONFIG_DIR": _NOWHERE,
    "DVC_SYSTEM_CONFIG_DIR": _NOWHERE,
}

for _name in [name for name in os.environ if name.startswith(("ASCL_", "GIT_", "PREFECT_API_", "PREFECT_PROFILE"))]:
    if _name not in _OURS:
        del os.environ[_name]
os.environ.update(_NO_SETTINGS)
