"""The benchmark of one GPU: every part runs, here on a CPU, with no other packages than it says; and it ends in time."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script as a module; like a script, it finds others beside itself."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def link(packages: Iterable[str], folder: Path) -> Path:
    """A folder to import these packages from and no others."""
    (folder / "site-packages").mkdir(parents=True)
    for file in (file for package in packages for file in files(package) or ()):
        name, entry = file.parts[0], folder / "site-packages" / file.parts[0]
        if name not in ("..", "__pycache__") and not entry.exists():
            entry.symlink_to(Path(str(file.locate()).removesuffix(str(file))) / name)
    return folder


def test_every_part_runs_with_what_a_gpu_machine_has_and_what_is_carried_there(benchmark: Any, tmp_path: Path) -> None:
    check, found = benchmark("gpu_check"), tmp_path / "found.json"
    there = link(check.closure(check.THERE) - check.carried(), tmp_path / "there")
    carried = link(check.carried(), tmp_path / "carried")
    done = subprocess.run(
        [sys.executable, "-S", "benchmarks/gpu_check.py", "--small", "--repeats", "1", "--wheels", carried, "--json", found],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(there / "site-packages"),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.glob("tmp*")), "it cleans up"
    parts = {part["part"]: part for part in read_json(found)["parts"]}
    assert {name: part["ended"] for name, part in parts.items()} == dict.fromkeys(parts, "run")
    assert len(parts) == 6
    for name in ("sft", "ifpo"):
        for figures in (parts[name]["outcome"]["figures"][side] for side in ("ours", "TRL")):
            assert all(math.isfinite(value) and value > 0 for value in figures.values())
    differences = parts["losses"]["outcome"]["differences"]
    assert 0 < differences["gradient of IFPO, float32"][0] < differences["gradient of IFPO, bfloat16"][0], "something was computed"


def test_a_part_that_does_not_fit_is_not_run_and_one_over_its_budget_is_stopped(benchmark: Any) -> None:
    budget = benchmark("budget")
    part = budget.Part("sleeps", 0.05, lambda: time.sleep(5))
    assert str(budget.run_part(part, left=0.01)) == "sleeps (not run, 0.0 s)\n  it may take 0 s, and 0 s are left"
    started = time.monotonic()
    row = budget.run_part(part, left=1)
    assert (row.ended, row.passed, time.monotonic() - started < 1) == ("stopped", False, True)


def test_a_part_that_raises_or_differs_is_reported_and_does_not_pass(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    budget = benchmark("budget")
    failed = budget.run_part(budget.Part("fails", 1, lambda: 1 / 0), left=2)
    assert (failed.ended, failed.passed, failed.outcome.lines) == ("failed", False, ["ZeroDivisionError: division by zero"])
    assert "ZeroDivisionError" in capsys.readouterr().err
    for found, passed in ((1.0, True), (1.1, False), (math.nan, False)):
        row = budget.run_part(budget.Part("compares", 1, lambda: budget.Outcome(differences={"loss": (found, 1.0)})), left=2)  # noqa: B023
        assert (row.passed, "TOO MUCH" in str(row)) == (passed, not passed)
