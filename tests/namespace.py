"""Commands with mounts of their own: a disk that is full, a folder that nobody may write to."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def in_namespace(mounts: str, command: str) -> tuple[str, ...]:
    """The command with mounts of its own; the test is skipped where this machine allows nobody to mount."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("mounting in a namespace is not allowed here")
    return ("unshare", "--mount", "--map-root-user", "bash", "-c", f"{mounts} && exec {command}")
