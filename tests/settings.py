"""What keeps the settings of the person who runs tests, or the demonstration, from what they start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_FOR_TESTS = {"ASCL_SCREENSHOTS", "ASCL_EXTERNAL_DATA"}
"""What is said to the tests themselves: where pictures go, and where public files are."""
_NOT_OURS = ("ASCL_", "GIT_", "PREFECT_API_", "PREFECT_PROFILE")
NOWHERE = str(Path(__file__).parent / "no-such-folder")
_NO_FILES = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "DVC_GLOBAL_CONFIG_DIR": NOWHERE,
    "DVC_SYSTEM_CONFIG_DIR": NOWHERE,
}


_ONE_CORE = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""As many test processes run as there are cores: threads that spin while they wait for each other would make each many times slower."""


def for_tests(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a process that runs tests; it sees only the public files that the person names, not those of the checkout."""
    return {"ASCL_EXTERNAL_DATA": NOWHERE, **without_settings(environment), **_ONE_CORE}


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """These variables without what sets ascl, git, DVC or Prefect, and with git and DVC reading no settings outside a repository."""
    kept = {name: value for name, value in environment.items() if name in _FOR_TESTS or not name.startswith(_NOT_OURS)}
    return {**kept, **_NO_FILES}
