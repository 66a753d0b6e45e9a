"""The benchmark of serving: wrong arguments are one error before anything is taught or started."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize("arguments", [("checkpoint",), ("checkpoint", "corpus", "more"), ("--streams", "19"), ("--streams", "0")])
def test_wrong_arguments_are_one_error(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    benchmark = importlib.import_module("serving")
    monkeypatch.setattr("sys.argv", ["serving.py", *arguments])
    monkeypatch.setattr(benchmark, "make_consulting", lambda folder: pytest.fail("it went on"))
    monkeypatch.setattr(benchmark, "model_server", lambda *given: pytest.fail("it went on"))
    with pytest.raises(SystemExit):
        benchmark.main()
    assert "give CHECKPOINT and CORPUS or neither, and at least 20 streams" in capsys.readouterr().err
