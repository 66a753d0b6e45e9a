"""A step is what is configured, however it is divided: over processes, over micro-batches, over both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ascl_core.artifacts import read_parquet
from ascl_core.config.parallel import split_batch
from tests.training.conftest import World, weights_of
from tests.training.one_step import STEP, record

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.long]
REPOSITORY = Path(__file__).parents[2]
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.training.one_step")


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the rollouts that every step of this module takes."""
    return tmp_path_factory.mktemp("steps")


@pytest.fixture(scope="module")
def one(world: World, folder: Path) -> dict[str, dict[str, Any]]:
    """Each stage's step by one process."""
    return {stage: record(world, folder / stage, stage, folder / "rollouts.pt") for stage in STEP}


@pytest.fixture(scope="module")
def two(world: World, folder: Path, one: dict[str, dict[str, Any]]) -> list[dict[str, dict[str, Any]]]:
    """The same by each of two processes that train together."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *LAUNCHER, str(world.root), str(folder)],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


def same_gradient(mine: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two gradients are one but for the order in which their terms were added up."""
    assert other.norm() > 1e-3
    return bool((mine - other).norm() < 1e-4 * other.norm())


@pytest.mark.parametrize("stage", STEP)
def test_two_processes_have_the_gradient_of_one_and_write_one_checkpoint(folder: Path, one: Any, two: Any, stage: str) -> None:
    for seen in two:
        assert same_gradient(seen[stage]["gradient"], one[stage]["gradient"])
    assert two[0][stage]["gradient"].equal(two[1][stage]["gradient"])
    assert weights_of(folder / f"{stage}-of-two").keys() == weights_of(folder / stage).keys()


def test_two_processes_have_the_advantages_of_one_though_a_group_is_divided_between_them(one: Any, two: Any) -> None:
    advantages = one["ifpo"]["advantages"]
    assert len(advantages) == 12
    assert advantages[4:8].abs().max() > 0.1, "the divided group has something to tell"
    for seen in two:
        assert seen["ifpo"]["advantages"].equal(advantages)


def test_the_first_of_two_processes_keeps_the_rollouts_of_both(folder: Path, one: Any, two: Any) -> None:
    wanted, kept = (folder / name / "rollouts.parquet" for name in ("ifpo", "ifpo-of-two"))
    assert read_parquet(wanted).num_rows == 12
    assert kept.read_bytes() == wanted.read_bytes()


def test_two_processes_log_the_figures_of_the_whole_step(one: Any, two: Any) -> None:
    wanted = one["ifpo"]["log"]
    for seen in two:
        logged = seen["ifpo"]["log"]
        for name in wanted:
            if name.split("/")[0] in ("consult", "consult_rate", "reward", "valid_rate", "not_judged", "weights", "groups", "invalid"):
                assert logged[name] == pytest.approx(wanted[name]), name


@pytest.mark.parametrize("stage", STEP)
def test_eight_micro_batches_of_two_are_one_of_sixteen(world: World, folder: Path, tmp_path: Path, stage: str) -> None:
    rows = {"prompts_per_step": 4, "group_size": 4} if stage == "ifpo" else {"batch_size": 16}
    steps = [record(world, tmp_path / str(size), stage, tmp_path / "rollouts.pt", micro_batch_size=size, **rows) for size in (16, 2)]
    assert same_gradient(steps[1]["gradient"], steps[0]["gradient"])
    assert steps[1]["log"]["grad_norm"] == pytest.approx(steps[0]["log"]["grad_norm"], rel=1e-4)
    if stage == "ifpo":
        assert steps[0]["advantages"].equal(steps[1]["advantages"])


def test_rows_that_do_not_divide_among_the_processes_are_refused() -> None:
    assert split_batch(12, 3, 1) == (3, 4)
    with pytest.raises(ValueError, match="a batch of 12 must be a multiple of"):
        split_batch(12, 3, 8)
