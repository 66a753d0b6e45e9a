"""An environment beside that of the tests, as a trainer's is beside the orchestrator's: its packages are links to theirs."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

_NOTES = """import sys
from pathlib import Path

with open(Path(sys.prefix) / "started", "a") as file:
    file.write(" ".join(sys.orig_argv) + "\\n")
"""


def make_environment(folder: Path, *, without: tuple[str, ...]) -> Path:
    """The interpreter of a new environment that has all packages but those whose names begin so; it notes what it is started with."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    installed = Path(sysconfig.get_path("purelib"))
    packages = folder / installed.relative_to(sys.prefix)
    for found in installed.iterdir():
        if not found.name.startswith((*without, "__editable__", "ascl-")):
            (packages / found.name).symlink_to(found)
    (packages / "sitecustomize.py").write_text(_NOTES)
    return folder / "bin" / "python"


def started(python: Path) -> str:
    """What the interpreter of that environment was started with, a line each time."""
    notes = python.parents[1] / "started"
    return notes.read_text() if notes.exists() else ""
