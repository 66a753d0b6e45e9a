"""How stages are started: the command line for one process and for several, which accelerate and torch accept."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, get_args

import pytest

from ascl_core.config.parallel import Strategy
from ascl_core.config.params import Params
from ascl_core.config.profiles import resolve_profile
from ascl_core.errors import ConfigError
from tasks.execution.launch import accelerate_file, command
from tasks.execution.runner import explain_failure
from tasks.registry.stages import BUILD_SFT, IFPO, SFT, STAGES
from tests.pipeline.workspace import REPOSITORY

WORK = Path("scratch/sft/0")
CHILD = "tasks.execution.child"
STRATEGIES = get_args(Strategy)


def make_params(**parallel: Any) -> Params:
    """The tiny profile in bfloat16 with those processes."""
    settings = [f"parallel.{name}={value}" for name, value in parallel.items()]
    return resolve_profile(REPOSITORY, "tiny", [*settings, "compute.dtype=bfloat16", "compute.threads=3"])


def launched(params: Params) -> Namespace:
    """What accelerate's own parser makes of the command line, with the configuration file read into it."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    started = command(REPOSITORY, SFT, WORK, params, on_gpu=True)
    assert started[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args(started[3:]))
    return arguments


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
@pytest.mark.parametrize("on_gpu", [True, False])
def test_one_process_needs_no_launcher(stage: Any, on_gpu: bool) -> None:
    assert command(REPOSITORY, stage, WORK, make_params(), on_gpu=on_gpu) == [sys.executable, "-m", CHILD, stage.name, str(WORK)]


def test_only_training_is_started_as_several() -> None:
    params = make_params(processes=4)
    several = {stage.name for stage in STAGES if CHILD not in command(REPOSITORY, stage, WORK, params, on_gpu=True)[:3]}
    assert several == {"sft", "sft_direct_refusal", "sft_context_distillation", "ifpo"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_accelerate_reads_the_configuration_of_each_strategy(strategy: str) -> None:
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    config = load_config_from_file(str(accelerate_file(REPOSITORY, strategy)))
    assert isinstance(config, ClusterConfig)
    assert config.distributed_type.value == {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}[strategy]
    assert (config.num_machines, config.use_cpu) == (1, False)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_accelerate_accepts_the_command_line(strategy: str) -> None:
    arguments = launched(make_params(processes=4, strategy=strategy))
    assert (arguments.multi_gpu, arguments.use_fsdp, arguments.use_deepspeed) == tuple(strategy == name for name in STRATEGIES)
    assert (arguments.num_processes, arguments.mixed_precision, arguments.num_cpu_threads_per_process) == (4, "bf16", 3)
    assert (arguments.module, arguments.training_script, arguments.training_script_args) == (True, CHILD, ["sft", str(WORK)])


def test_the_environment_of_fsdp2_is_the_second_version_with_sharded_saves() -> None:
    from accelerate.utils.launch import prepare_multi_gpu_env

    environment = prepare_multi_gpu_env(launched(make_params(processes=4, strategy="fsdp2")))
    wanted = {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_RESHARD_AFTER_FORWARD": "true",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
        "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "OMP_NUM_THREADS": "3",
    }
    assert {name: environment[name] for name in wanted} == wanted


def test_the_environment_of_zero3_shards_all_and_gathers_what_is_published() -> None:
    from accelerate.utils.launch import prepare_deepspeed_cmd_env

    arguments = launched(make_params(processes=4, strategy="zero3"))
    arguments.deepspeed_fields_from_accelerate_config = ""
    _, environment = prepare_deepspeed_cmd_env(arguments)
    wanted = {
        "ACCELERATE_USE_DEEPSPEED": "true",
        "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3",
        "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL": "true",
        "ACCELERATE_DEEPSPEED_ZERO3_INIT": "false",
    }
    assert {name: environment[name] for name in wanted} == wanted


def test_on_a_cpu_torchs_launcher_starts_them() -> None:
    started = command(REPOSITORY, IFPO, WORK, make_params(processes=2), on_gpu=False)
    from torch.distributed.run import get_args_parser

    arguments = get_args_parser().parse_args(started[3:])
    assert (started[2], arguments.nproc_per_node, arguments.standalone) == ("torch.distributed.run", "2", True)
    assert (arguments.module, arguments.training_script, arguments.training_script_args) == (True, CHILD, ["ifpo", str(WORK)])


@pytest.mark.parametrize("strategy", ["fsdp2", "zero3"])
def test_sharding_without_gpus_is_an_error_that_names_the_hint(strategy: str) -> None:
    with pytest.raises(ConfigError, match=r"parallel\.strategy.*\n  hint: set it to ddp") as caught:
        command(REPOSITORY, SFT, WORK, make_params(processes=2, strategy=strategy), on_gpu=False)
    assert caught.value.value == strategy
    assert command(REPOSITORY, BUILD_SFT, WORK, make_params(processes=2, strategy=strategy), on_gpu=False)


def test_a_strategy_without_its_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"profiles/accelerate/ddp\.yaml: parallel\.strategy: does not exist"):
        command(tmp_path, SFT, WORK, make_params(processes=2), on_gpu=True)


def test_the_error_of_a_process_is_said_and_not_that_of_its_launcher(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "[rank1]: Traceback (most recent call last):\n[rank1]: torch.OutOfMemoryError: CUDA out of memory\n"
        "E1125 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: 1)\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\n=====\n"
    )
    assert "sft ended with status 1: torch.OutOfMemoryError: CUDA out of memory" in str(explain_failure(SFT, 1, tmp_path, log))
