"""What `pyproject.toml` declares, the locks pin and the code imports are the same; serving needs neither training nor orchestration."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMELESS = {"dvc-s3", "pyopenssl", "ruamel-yaml-clib"}
"""Declared for another package: DVC's plugin for S3, what model-signing uses, and the parser in C that DVC takes if it is installed."""
LOCKS = ("cpu.lock", "cpu-vllm.lock", "gpu.lock")
OPTIONAL = {"vllm", "mlflow", "tensorboard", "trackio", "wandb"}
"""Imported only where they are installed: extras choose a build of vLLM for the machine, and a person an experiment tracker."""


def requirements(*extras: str) -> Iterator[Requirement]:
    """What the project and these extras require, extras of its own resolved."""
    declared = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    for requirement in map(Requirement, declared):
        if requirement.name == "ascl":
            yield from requirements(*requirement.extras)
        else:
            yield requirement


def declared(*extras: str) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements(*extras)}


def imported(*packages: str) -> dict[str, Path]:
    """Every top-level package that a file under these folders imports, with one such file."""
    found = {}
    for file in (file for package in packages for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.partition(".")[0]: file for name in names}
    ours = {*sys.stdlib_module_names, "flows", "tasks", "ascl_core", "tests", "benchmarks", "interoperability", *OPTIONAL}
    return {name: file for name, file in found.items() if name not in ours}


@pytest.mark.parametrize(("packages", "extras"), [(("flows", "tasks", "ascl_core"), ("all", "dask")), (("tests",), ("dev",))])
def test_every_package_that_is_imported_is_declared(packages: tuple[str, ...], extras: tuple[str, ...]) -> None:
    known, installed = declared(*extras), packages_distributions()
    missing = {
        name: str(file.relative_to(ROOT))
        for name, file in imported(*packages).items()
        if not known & {canonicalize_name(distribution) for distribution in installed.get(name, ())}
    }
    assert missing == {}


def test_every_package_that_is_declared_is_imported() -> None:
    installed = packages_distributions()
    used = {canonicalize_name(distribution) for name in imported("flows", "tasks", "ascl_core") for distribution in installed.get(name, ())}
    assert declared("all") - used - NAMELESS == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_pins_what_is_declared_in_a_version_that_is_allowed(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(match[1]): match[2] for line in lines if (match := re.match(r"([\w.-]+)==([^\s;+]+)", line))}
    wrong = {str(r): pins.get(canonicalize_name(r.name)) for r in requirements("dev") if not _is_pinned(r, pins)}
    assert wrong == {}


def _is_pinned(requirement: Requirement, pins: dict[str, str]) -> bool:
    version = pins.get(canonicalize_name(requirement.name))
    return version is not None and requirement.specifier.contains(version, prereleases=True)


BLOCKED = """
import importlib.util, json, runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}: it is in no extra that this needs", name=name)

blocked = frozenset(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Blocked())
find_spec = importlib.util.find_spec  # by which torch asks whether a package is installed
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in blocked else find_spec(name, package)
"""


def with_requirements(wanted: Iterable[Requirement]) -> set[str]:
    """The names of the packages and of all that they require, however far down."""
    found: set[tuple[str, str]] = set()
    waiting = {(requirement.name, extra) for requirement in wanted for extra in ("", *requirement.extras)}
    while waiting:
        name, of_extra = waiting.pop()
        found.add((name, of_extra))
        with contextlib.suppress(PackageNotFoundError):
            for needed in map(Requirement, requires(name) or ()):
                if not needed.marker or needed.marker.evaluate({"extra": of_extra}):
                    waiting |= {(needed.name, extra) for extra in ("", *needed.extras)} - found
    return {canonicalize_name(name) for name, _ in found}


def without_extras(code: str, *extras: str) -> subprocess.CompletedProcess[str]:
    """Run Python where what these extras do not require cannot be imported."""
    wanted = with_requirements(requirements(*extras))
    others = declared("all", "dask") - wanted
    owned = {name: {canonicalize_name(owner) for owner in owners} for name, owners in packages_distributions().items()}
    blocked = [name for name, owners in owned.items() if owners & others and not owners & wanted]  # a namespace may be of both
    assert {"prefect", "dvc", "great_expectations", "trl", "duckdb"} <= set(blocked)
    command = [sys.executable, "-c", BLOCKED + code, json.dumps(blocked)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


SERVING = """
import importlib, pkgutil, ascl_core.serving, ascl_core.rules, ascl_core.conversation
for package in (ascl_core.serving, ascl_core.rules, ascl_core.conversation):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


@pytest.mark.parametrize("command", [["serve", "--help"], ["mcp", "--help"], ["chat", "--help"], ["rules", "check"], ["--help"]])
def test_the_command_line_starts_where_only_serving_is_installed(command: list[str]) -> None:
    done = without_extras(f"sys.argv = ['ascl', *{command!r}]\nrunpy.run_module('flows.cli', run_name='__main__')", "serve")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["ascl_core.serving", "ascl_core.serving.mcp", "ascl_core.serving.chat"])
def test_a_server_starts_where_only_serving_is_installed(module: str) -> None:
    done = without_extras(f"sys.argv = ['server', '--help']\nrunpy.run_module('{module}', run_name='__main__')", "serve")
    assert done.returncode == 0, done.stderr


def test_serving_rules_and_conversation_import_nothing_that_other_extras_require() -> None:
    done = without_extras(SERVING, "serve")
    assert done.returncode == 0, done.stderr
