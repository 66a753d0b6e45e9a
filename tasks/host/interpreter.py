"""The interpreter of the stages' processes: this one, or that of an environment of its own, which `ASCL_STAGE_PYTHON` names.

Only their dependencies must be in such an environment (`ascl[train]`): the code is that of the worktree in which they start.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ascl_core.errors import WorkspaceError

VARIABLE = "ASCL_STAGE_PYTHON"
_EXTRA = "train"
_ANSWER_S = 120.0
_CODE = str(Path(__file__).parents[2])
_DESCRIBE = """
import json, platform
from importlib.metadata import distributions
import tasks.execution.child
packages = {found.name: found.version for found in distributions()}
print(json.dumps({"version": platform.python_version(), "packages": packages}))
"""
_FIND = "import sys; from importlib.util import find_spec; print(find_spec(sys.argv[1]) is not None)"
_HINT = "install what `ascl[train]` requires there, or correct `python` in the pool's file"


@dataclass(frozen=True)
class Interpreter:
    """What an interpreter has."""

    version: str
    """Such as `3.11.7`."""
    packages: Mapping[str, str]
    """The versions of the installed packages, by normalised name."""


def stage_python() -> str:
    """Return the interpreter that starts stages; `WorkspaceError` if it is none."""
    given = os.environ.get(VARIABLE)
    if not given:
        return sys.executable
    if not Path(given).is_absolute() or not os.access(given, os.X_OK) or Path(given).is_dir():
        raise _error("is no absolute path of an interpreter", given)
    return given


def is_own() -> bool:
    """Return whether stages run in the environment of this process."""
    return stage_python() == sys.executable


def stage_interpreter() -> Interpreter:
    """Return what the interpreter of the stages has; `WorkspaceError` if it cannot import their code."""
    return this_interpreter() if is_own() else _other(stage_python())


def has_module(name: str) -> bool:
    """Return whether stages can import this top-level module."""
    if is_own():
        return importlib.util.find_spec(name) is not None
    return _ask(stage_python(), _FIND, name).strip() == "True"


def require() -> None:
    """Raise `WorkspaceError` unless the interpreter of the stages has what they need; this one, under which `ascl` runs, is not checked."""
    if not is_own() and (wrong := list(_unmet(stage_interpreter().packages))):
        raise _error(f"stages need packages that it does not have: {', '.join(wrong)}", stage_python())


def _unmet(packages: Mapping[str, str]) -> Iterator[str]:
    """Yield each requirement of the project and its stages that these packages do not meet, with what there is."""
    for needed in map(Requirement, requires("ascl") or ()):
        if needed.marker is None or needed.marker.evaluate({"extra": _EXTRA}):
            version = packages.get(canonicalize_name(needed.name))
            if version is None or not needed.specifier.contains(version, prereleases=True):
                yield f"{needed.name}{needed.specifier} ({version or 'missing'})"


@functools.cache
def this_interpreter() -> Interpreter:
    """Return what the interpreter of this process has."""
    return Interpreter(platform.python_version(), {canonicalize_name(found.name): found.version for found in distributions()})


@functools.cache
def _other(python: str) -> Interpreter:
    found = json.loads(_ask(python, _DESCRIBE))
    return Interpreter(found["version"], {canonicalize_name(name): version for name, version in found["packages"].items()})


def _ask(python: str, code: str, *arguments: str) -> str:
    """Return what the interpreter prints, with the code of this process in its reach."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [_CODE, os.environ.get("PYTHONPATH")]))}
    try:
        done = subprocess.run(
            [python, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=_ANSWER_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _error(f"does not run: {error}", python) from None
    if done.returncode != 0:
        raise _error(f"cannot import the stages: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}", python)
    return done.stdout


def _error(problem: str, python: str) -> WorkspaceError:
    return WorkspaceError(problem, field=VARIABLE, value=python, hint=_HINT)
