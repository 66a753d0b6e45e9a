"""Try what this project serves, signs and publishes with tools of others: `python benchmarks/interoperability.py evidence`.

A group is a file in `benchmarks/interop/`: its checks, and `prepare`, which makes what they are given. Each check runs in an environment
of its own, which uv makes from the package index and keeps in its cache. The command prints a row for each check (tool, version, what was
tried, result) and ends with status 1 if one failed. `--write` puts the rows into `docs/interoperability.md`, between the group's markers.

    python benchmarks/interoperability.py                          the groups and their checks
    python benchmarks/interoperability.py evidence --write         one group, into the page
    python benchmarks/interoperability.py evidence --only bill     one check, by the name of its function
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from interop import Check, Checks

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/interoperability.md"
GROUPS = sorted(file.stem for file in (HERE / "interop").glob("[a-z]*.py"))
_LIMIT_S = 600
_HEADER = "| tool | version | tried | result |\n|---|---|---|---|"


def checks_of(group: str) -> Checks:
    """Return the checks of a group."""
    checks: Checks = importlib.import_module(f"interop.{group}").checks
    return checks


def row(group: str, name: str, given: str) -> tuple[str, bool]:
    """Run one check in its environment; return its row, and whether it passed."""
    check = checks_of(group).of[name]
    own = [str(Path(__file__)), group, "--inside", name, "--given", given]
    with_packages = [word for requirement in check.requirements for word in ("--with", requirement)]
    uv = [str(Path(sys.executable).with_name("uv")), "run", "--quiet", "--no-project", "--python", sys.executable, *with_packages]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [*uv, "python", *own] if check.requirements else [sys.executable, *own]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    said = problem = ""
    try:
        said, problem = process.communicate(timeout=_LIMIT_S)
        found = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        found = {"version": "", "failed": (problem.strip().splitlines() or ["it printed nothing"])[-1]}
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # uv, and the tool that it started
        process.communicate()
        found = {"version": "", "failed": f"no end after {_LIMIT_S} s"}
    result = f"**failed**: {found['failed']}" if "failed" in found else found["result"]
    cells = (check.tool, found["version"], check.tried, result)
    return f"| {' | '.join(' '.join(str(cell).replace('|', '/').split()) for cell in cells)} |", "failed" not in found


def inside(check: Check, given: str) -> dict[str, str]:
    """Run a check in this process, in its own environment; return the version of the tool with the result, or why it failed."""
    try:
        installed = version(check.tool)
    except PackageNotFoundError:
        installed = ""  # a program: the result says its version
    try:
        return {"version": installed, "result": check.run(given)}
    except Exception as error:  # whatever a tool raises is the result
        return {"version": installed, "failed": f"{type(error).__name__}: {str(error).strip()[:300]}"}


def rows(group: str, only: str | None, given: str) -> Iterator[tuple[str, bool]]:
    """Yield the row of each check of a group, and whether it passed; nothing is prepared if `given` says what they are given."""
    with nullcontext(given) if given else importlib.import_module(f"interop.{group}").prepare() as found:
        for name in [only] if only else checks_of(group).of:
            yield row(group, name, str(found))


def write(group: str, lines: list[str]) -> None:
    """Replace the rows of the group in the page, between `<!-- GROUP -->` and `<!-- /GROUP -->`."""
    text = PAGE.read_text(encoding="utf-8")
    table = "\n".join([f"<!-- {group} -->", _HEADER, *lines, f"<!-- /{group} -->"])
    replaced, found = re.subn(rf"<!-- {group} -->.*<!-- /{group} -->", lambda _: table, text, flags=re.DOTALL)
    assert found == 1, f"{PAGE} must have <!-- {group} --> and <!-- /{group} --> once"
    PAGE.write_text(replaced, encoding="utf-8")


def main() -> None:
    """Run the checks of a group, or list them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", nargs="?", choices=GROUPS)
    parser.add_argument("--only", help="the name of one check")
    parser.add_argument("--write", action="store_true", help="put the rows of the whole group into docs/interoperability.md")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--given", default="", help="a folder or URL to try instead of what the group prepares")
    given = parser.parse_args()
    if given.group is None:
        for group in GROUPS:
            print(group, *(f"  {name}: {check.tool}: {check.tried}" for name, check in checks_of(group).of.items()), sep="\n")
        return
    if given.inside:
        print(json.dumps(inside(checks_of(given.group).of[given.inside], given.given)))
        return
    if given.only and (given.write or given.only not in checks_of(given.group).of):
        parser.error(f"--only takes one of {', '.join(checks_of(given.group).of)}, and no --write")
    print(_HEADER)
    done = []
    for line, passed in rows(given.group, given.only, given.given):
        print(line, flush=True)
        done.append((line, passed))
    if given.write:
        write(given.group, [line for line, _ in done])
    sys.exit(not all(passed for _, passed in done))


if __name__ == "__main__":
    main()
