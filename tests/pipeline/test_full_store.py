"""A disk that is full while DVC takes an output into its cache, or brings one: one error, nothing half done, and the next try ends well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.repository import dvc_config, transfer
from tasks.repository.remotes import make_remote
from tests.namespace import in_namespace
from tests.services.store_world import make_store_world

REPOSITORY = Path(__file__).parents[2]
_TRIES_TWICE = """
import json, subprocess, sys
from pathlib import Path
from ascl_core.errors import WorkspaceError
from tasks.repository import outputs, transfer
from tests.services.store_world import MODEL, STAGE, StoreWorld
what, root, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
world = StoreWorld(root)
attempt = getattr(outputs if what == "record" else transfer, what)
arguments = (root, STAGE) if what == "record" else (root,)
try:
    attempt(*arguments)
except WorkspaceError as error:
    lock = root / "dvc.lock"
    found = {"problem": error.problem, "hint": error.hint, "locked": lock.exists() and MODEL in lock.read_text()}
    found["whole"] = sorted(len(data) for data in world.read().values())
    found["halves"] = [str(file) for file in root.parent.rglob(".*.tmp")]
    subprocess.run(["mount", "-o", "remount,size=1g", sys.argv[4]], check=True)
    attempt(*arguments)
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "--quiet", "--force"], cwd=root, check=True)
    found["in_the_end"] = sorted(len(data) for data in world.read().values())
    out.write_text(json.dumps(found))
"""
SIZE = 8_000_000


@pytest.mark.parametrize("what", ["record", "pull", "push"])
def test_a_full_disk_is_one_error_and_the_next_try_ends_well(tmp_path: Path, what: str) -> None:
    world = make_store_world(tmp_path / "one")
    dvc_config.use_remote(world.root, make_remote(str(tmp_path / "store")))
    (tmp_path / "store").mkdir()
    sizes = sorted(len(data) for data in world.write({"model.safetensors": SIZE}, record=what != "record").values())
    if what == "pull":
        transfer.push(world.root)
        world = world.elsewhere(tmp_path / "two")
    full = tmp_path / "store" if what == "push" else world.root / ".dvc" / "cache"
    full.mkdir(exist_ok=True)
    (tmp_path / "twice.py").write_text(_TRIES_TWICE)
    command = in_namespace(
        f"mount -t tmpfs -o size=4m none {full}",
        f"{sys.executable} {tmp_path / 'twice.py'} {what} {world.root} {tmp_path / 'found.json'} {full}",
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    assert (tmp_path / "found.json").exists(), done.stdout[-4000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["problem"].startswith("no space left on the disk"), found
    assert "run again" in found["hint"]
    assert found["locked"] == (what != "record"), "what is not in the cache is not recorded"
    assert found["whole"] == ([] if what == "pull" else sizes), "a file is whole, or not there"
    assert found["halves"] == [], "nothing half written takes the space"
    assert found["in_the_end"] == sizes
