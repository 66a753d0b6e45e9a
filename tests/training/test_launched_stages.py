"""Two processes that a launcher starts, on a CPU: they train one model together, and the first one alone writes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from ascl_core.artifacts import read_json, read_jsonl
from tasks.registry.stages import IFPO, PROMPTS, RL_CORPUS, SFT
from tests.pipeline.workspace import Workspace, make_workspace
from tests.training.conftest import World

pytestmark = pytest.mark.filterwarnings("ignore")
SETTINGS = (
    *("compute.device=cpu", "compute.threads=1", "parallel.processes=2"),
    *("sft.lora={rank: 4, alpha: 8}", "sft.max_steps=3", "sft.save_steps=2", "sft.batch_size=8", "sft.micro_batch_size=4"),
    *("ifpo.max_steps=2", "ifpo.save_steps=2", "ifpo.prompts_per_step=4", "ifpo.group_size=4", "ifpo.micro_batch_size=4"),
    *("ifpo.max_completion_length=220", "ifpo.prompt_mix={harmful: 1, borderline: 1, dual_use: 0, sensitive: 0, utility: 1}"),
)

RUN = """
import sys
from pathlib import Path
from ascl_core.errors import AsclError
from tasks.execution.runner import run_stage
from tasks.registry.stages import get_stage
try:
    run_stage(Path.cwd(), get_stage({name!r}))
except AsclError as error:
    sys.exit(f"error: {{error}}")
"""
"""Runs a stage without the checks upstream of it, which know nothing of the small world's files."""


@pytest.fixture(scope="module")
def workspace(world: World, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A repository in which the stages before training have left the small world's files."""
    made = make_workspace(tmp_path_factory.mktemp("processes"))
    made.ascl("params", "write", "--overwrite-params", *(word for setting in SETTINGS for word in ("--set", setting)))
    files = {RL_CORPUS.path: "corpus.json", PROMPTS.path: "prompts.parquet"}
    files |= {artifact.path: f"{Path(artifact.path).stem}.jsonl" for artifact in SFT.inputs["trajectories"]}
    for path, name in files.items():
        (made.root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(world.root / name, made.root / path)
    for artifact, name in ((SFT.inputs["base"], "base"), (IFPO.inputs["checkpoint_in"], "taught/model")):
        shutil.copytree(world.root / name, made.root / artifact.path)
    return made


@pytest.mark.parametrize(("stage", "steps"), [pytest.param(IFPO, 2, marks=pytest.mark.long), (SFT, 3)], ids=["ifpo", "sft"])
def test_two_processes_train_together_and_publish_once(workspace: Workspace, world: World, stage: Any, steps: int) -> None:
    workspace.python(RUN.format(name=stage.name))
    record = read_json(workspace.root / stage.record.path)
    assert record["parameters"]["parallel"]["processes"] == 2
    log = read_jsonl(workspace.root / stage.outputs["log"].path)
    assert [line["step"] for line in log[1:]] == list(range(1, steps + 1)), "each step is logged once"
    weights = load_file(workspace.root / stage.outputs["checkpoint"].path / "model.safetensors")
    before = load_file(world.root / ("base" if stage is SFT else "taught/model") / "model.safetensors")
    assert weights.keys() == before.keys(), "whole, with low-rank matrices merged"
    assert any(not weights[name].equal(before[name]) for name in before)
    assert not workspace.processes(), "no process is left"


def test_the_error_of_one_process_is_the_error_of_the_stage(workspace: Workspace) -> None:
    workspace.ascl("params", "write", "--set", "sft.max_length=32")
    said = workspace.python(RUN.format(name="sft"), status=1)
    assert "over sft.max_length 32" in said
    assert "hint: raise sft.max_length" in said
    assert not workspace.processes()
