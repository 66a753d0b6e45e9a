"""A disk that is full when a trainer saves, for real: one error, the last whole save stays, and the next run ends with the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.namespace import in_namespace
from tests.training.conftest import World, weights_of

pytestmark = pytest.mark.filterwarnings("ignore")
REPOSITORY = Path(__file__).parents[2]
STEPS = {"max_steps": 3, "save_steps": 1}
_TRAINS_TWICE = """
import json, subprocess, sys
from pathlib import Path
from ascl_core.errors import WorkspaceError
from tests.training.conftest import World
root, out, stage, steps = sys.argv[1:]
out = Path(out)
train = getattr(World(Path(root)), stage)
try:
    train(out, **json.loads(steps))
except WorkspaceError as error:
    left = sorted(save.name for save in (out / "state").glob("checkpoint-*"))
    published = (out / "model").exists()
    subprocess.run(["mount", "-o", "remount,size=1g", str(out / "state")], check=True)
    log = train(out, **json.loads(steps))
    found = {"file": error.file, "problem": error.problem, "hint": error.hint, "left": left, "published": published, "log": log}
    (out / "found.json").write_text(json.dumps(found))
"""


@pytest.mark.parametrize("stage", ["sft", pytest.param("ifpo", marks=pytest.mark.long)])
def test_a_disk_that_is_full_at_a_save_costs_no_more_than_the_steps_since_the_last_one(world: World, tmp_path: Path, stage: str) -> None:
    wanted = getattr(world, stage)(tmp_path / "straight", **STEPS)
    size = sum(-(-file.stat().st_size // 4096) * 4096 for file in (tmp_path / "straight/state").rglob("*") if file.is_file())
    out = tmp_path / "full"
    (out / "state").mkdir(parents=True)
    (tmp_path / "twice.py").write_text(_TRAINS_TWICE)
    command = in_namespace(
        f"mount -t tmpfs -o size={size * 3 // 2} none {out / 'state'}",
        f"{sys.executable} {tmp_path / 'twice.py'} {world.root} {out} {stage} '{json.dumps(STEPS)}'",
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400
    )
    assert (out / "found.json").exists(), done.stdout[-4000:]
    found = json.loads((out / "found.json").read_text())
    assert found["file"] == str(out / "state/checkpoint-2")
    assert found["problem"].startswith("the save of step 2 cannot be written: ")
    assert "(0.0 MB are free there)" in found["problem"] or "No space left" in found["problem"]
    assert "free some space" in found["hint"]
    assert (found["left"], found["published"]) == (["checkpoint-1"], False)
    assert found["log"] == wanted
    straight, resumed = weights_of(tmp_path / "straight"), weights_of(out)
    assert all(straight[name].equal(resumed[name]) for name in straight)
