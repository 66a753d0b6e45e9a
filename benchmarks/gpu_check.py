"""Try training on one GPU in ten minutes: `python benchmarks/gpu_check.py --json gpu.json`.

The project's own trainers (SFT and IFPO) against TRL's in the same run: tokens a second, share of the GPU's bfloat16 peak, peak memory
beside the estimate of `ascl plan`; and advantages, losses, gradients and a resumed run against the CPU's. The model has the shape of
Qwen3-0.6B and random weights, or is that of `--model`. `--small` tries every part with a tiny model, also on a CPU, in seconds.

Each part has a budget: one that no longer fits into `--minutes` is reported as not run, and one that exceeds its budget is stopped. The
exit status is 1 if a part failed or differs from the CPU by more than its tolerance.

The machine needs torch, transformers, peft, pandas and pyarrow. If it reaches no package index, collect the rest on one that does
(`--collect DIR --python 3.12`, the GPU machine's version), copy the folder and the repository, and give it as `--wheels DIR`.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from budget import Row, run_part
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from side_by_side import machine_line, parser

THERE = ("torch", "transformers", "peft", "pandas", "pyarrow")
"""What the GPU machine has, with what it depends on."""
CARRIED = (
    "trl",
    "datasets",
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "ruamel-yaml",
    "ruamel-yaml-clib",
    "bm25s",
    "py3langid",
    "pytest",
)
"""What is carried there in any case; and of what it depends on, what is not there."""
MOST_BYTES = 64 * 10**6
SITE = "site-packages"
"""The folder in the folder: dill, by which datasets names its data, pickles modules of other folders with all that they hold."""
_ROOT = Path(__file__).parents[1]


def closure(names: Iterable[str]) -> set[str]:
    """Return the packages with all that they depend on here, extras left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found and _is_installed(name):  # CUDA's libraries are not, where torch is built for a CPU
            found.add(name)
            needed = map(Requirement, requires(name) or ())
            waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def _is_installed(name: str) -> bool:
    """Return whether this environment has the package."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def carried() -> set[str]:
    """Return the packages that the GPU machine lacks."""
    return {*CARRIED} | closure(CARRIED) - closure(THERE)


def collect(folder: Path, python: str) -> None:
    """Install what the GPU machine lacks into the folder, in the versions of this environment; exit if it is over 64 MB."""
    pins = sorted(f"{name}=={version(name)}" for name in carried())
    options = ["--no-deps", "--only-binary", ":all:", "--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", "--target", str(folder / SITE), *options, *pins], check=True)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{len(pins)} packages, {size / 1e6:.1f} MB, for Python {python} on x86-64: {', '.join(pins)}")
    if size > MOST_BYTES:
        raise SystemExit(f"{folder} is over {MOST_BYTES / 1e6:.0f} MB")


def main() -> None:
    """Collect packages, or run the parts and report them."""
    started = time.monotonic()
    options = parser(__doc__, repeats=3)
    options.add_argument("--model", metavar="PATH", help="a folder with a real model instead of random weights")
    options.add_argument("--small", action="store_true", help="a tiny model, in seconds, also on a CPU")
    options.add_argument("--minutes", type=float, default=10.0, help="for everything (default: %(default)s)")
    options.add_argument("--wheels", type=Path, metavar="DIR", help="the folder that --collect filled")
    options.add_argument("--collect", type=Path, metavar="DIR", help="fill the folder with the packages that a GPU machine lacks, and end")
    options.add_argument("--python", default=f"{sys.version_info[0]}.{sys.version_info[1]}", help="for --collect (default: %(default)s)")
    given = options.parse_args()
    if given.collect:
        collect(given.collect, given.python)
        return
    sys.path[:0] = [str(given.wheels.resolve() / SITE), str(_ROOT)] if given.wheels else [str(_ROOT)]
    warnings.filterwarnings("ignore")
    folder = Path(tempfile.mkdtemp())
    tempfile.tempdir = str(folder)  # the trainers' own, too
    try:
        rows = _run(given, folder, started)
    finally:
        shutil.rmtree(folder)
    if not all(row.passed for row in rows):
        raise SystemExit(1)


def _run(given: Namespace, folder: Path, started: float) -> list[Row]:
    """Run all parts; the figures are written after each, as the machine may be taken away."""
    end = started + given.minutes * 60
    check = importlib.import_module("gpu_parts").Check(given, folder)
    rows: list[Row] = []
    for part in check.parts:
        rows.append(run_part(part, end - time.monotonic()))
        print(rows[-1], flush=True)
        check.keep(rows, time.monotonic() - started)
    print(machine_line())
    return rows


if __name__ == "__main__":
    main()
