"""At release time the gate's decision is reckoned anew from the metrics, whatever the recorded one says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.gate import GateConfig
from ascl_core.errors import ReleaseError
from ascl_core.evaluation.gate import decide_from_files
from tasks.registry.stages import EVALUATION
from tasks.releases.candidate import Candidate, Judged
from tasks.releases.create import _check_decision
from tests.pipeline.workspace import write_tiny_params
from tests.unit.test_gate import GOOD, estimate


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """A run's worktree with parameters and metrics, in a repository without a release."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    write_tiny_params(tmp_path)
    write_json(tmp_path / "data/released/release.json", {"tag": None})
    write_json(metrics(tmp_path), {"headline": {name: estimate(value) for name, value in GOOD.items()}})
    return tmp_path


def metrics(worktree: Path) -> Path:
    return worktree / EVALUATION.outputs["metrics"].path


def recorded(worktree: Path, **changes: Any) -> Candidate:
    """The candidate of which the recorded decision is the right one but for `changes`."""
    from ascl_core.config.params import load_params

    config: GateConfig = load_params(worktree / "params.yaml").gate
    decision = decide_from_files(config, metrics(worktree), worktree / "none.parquet", worktree / "data/released")
    return Candidate(Judged("run-1", "0" * 40, "0" * 64, "0" * 64, ()), {**decision, **changes}, {}, "0" * 64, None, "0" * 64)


def test_the_decision_that_the_metrics_give_is_accepted(worktree: Path) -> None:
    _check_decision(worktree, worktree, recorded(worktree))


def test_a_decision_of_other_metrics_is_refused_with_both_verdicts(worktree: Path) -> None:
    candidate = recorded(worktree)
    values = read_json(metrics(worktree))
    values["headline"]["safety_rate"] = estimate(0.01)
    write_json(metrics(worktree), values)
    with pytest.raises(
        ReleaseError, match=r"does not follow from the metrics: safety rate .*but the metrics give safety rate fails"
    ) as found:
        _check_decision(worktree, worktree, candidate)
    assert found.value.hint


def test_a_decision_that_lacks_a_criterion_is_refused(worktree: Path) -> None:
    whole = recorded(worktree)
    with pytest.raises(ReleaseError, match="no such criterion"):
        _check_decision(worktree, worktree, recorded(worktree, criteria=whole.decision["criteria"][:-1]))


def test_a_verdict_that_its_criteria_do_not_give_is_refused(worktree: Path) -> None:
    passed = recorded(worktree).decision["passed"]
    with pytest.raises(ReleaseError, match="does not follow from the metrics"):
        _check_decision(worktree, worktree, recorded(worktree, passed=not passed))
