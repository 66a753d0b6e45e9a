"""Two runs at the same time in one repository: both end right, with what each gives alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from tasks.registry.stages import DECISION, IFPO
from tasks.repository.git import git
from tasks.runs.runs import ended_runs
from tests.pipeline.workspace import Running, Workspace

pytestmark = pytest.mark.timeout(1800)
RUNS = {"a-seed": "ifpo.seed=7", "a-gate": "gate.min_safety_rate=0.111"}
_RUN = """
import sys
from pathlib import Path
from tasks.runs import runs
from tasks.execution.up_to_date import bring_up_to_date
from tasks.repository.params_file import write_params
from tasks.registry.stages import STAGES
from tasks.runs.summary import run_summary
root, name, setting = Path.cwd(), sys.argv[1], sys.argv[2]
with runs.only_process(root, name):
    run = runs.open_run(root, name)
    write_params(run.worktree, None, [setting])
    outcomes = [bring_up_to_date(stage, root=run.worktree) for stage in STAGES]
    runs.finish_run(root, run, run_summary(run.worktree, outcomes))
    print("ran:", *(outcome.stage for outcome in outcomes if outcome.action == "ran"))
"""


def start(workspace: Workspace, name: str) -> Running:
    """Start a run of its own in that repository."""
    return workspace.start(sys.executable, "-c", _RUN, name, RUNS[name])


def results(root: Path, name: str) -> dict[str, str]:
    """MD5 of each output that tells no time, as the run's commit records it."""
    stages = yaml.safe_load(git(root, "show", f"runs/{name}:dvc.lock"))["stages"]
    timed = ("data/records/", "data/report", "data/logs/", "data/validation/docs")
    return {out["path"]: out["md5"] for entry in stages.values() for out in entry["outs"] if not out["path"].startswith(timed)}


@pytest.mark.long
def test_two_runs_at_the_same_time_give_what_each_gives_alone(finished: Workspace, tmp_path: Path) -> None:
    alone = finished.copy(tmp_path / "alone")
    before, here = finished.snapshot(), git(finished.root, "status", "--porcelain")
    both = {name: start(finished, name) for name in RUNS}
    for name, running in both.items():
        assert running.process.wait(900) == 0, f"{name}: {running.output}"
    assert both["a-gate"].output.strip() == "ran: gate report", both["a-gate"].output
    assert both["a-seed"].output.split()[1:3] == ["ifpo", "evaluate_ifpo"], both["a-seed"].output
    assert set(ended_runs(finished.root)) == set(RUNS)
    assert (finished.snapshot(), git(finished.root, "status", "--porcelain")) == (before, here), "nobody's working tree is touched"

    for name in RUNS:
        running = start(alone, name)
        assert running.process.wait(900) == 0, running.output
        assert results(finished.root, name) == results(alone.root, name)
    checkpoint, decision = IFPO.outputs["checkpoint"].path, DECISION
    seed, gate, old = results(finished.root, "a-seed"), results(finished.root, "a-gate"), finished.recorded()
    assert seed[checkpoint] != gate[checkpoint] == old[checkpoint]
    assert gate[decision] != old[decision]
