"""The command line of a stage's process, or of a launcher that starts several which train one model together.

Only stages that read the section `parallel` can have several. On GPUs accelerate's launcher reads `profiles/accelerate/`; on a CPU, where
it would start one process only, it is torch's own launcher.
"""

from __future__ import annotations

from pathlib import Path

from ascl_core.config.params import Params
from ascl_core.errors import ConfigError
from tasks.host.interpreter import stage_python
from tasks.registry.paths import PARAMETERS, PROFILES
from tasks.registry.stages import PARALLEL, Stage

_CHILD = ("-m", "tasks.execution.child")


def command(root: Path, stage: Stage, work: Path, params: Params, *, on_gpu: bool) -> list[str]:
    """Return the command line that runs the stage in `work`, with the interpreter of the stages.

    Raises `ConfigError` if this machine cannot train by the strategy.
    """
    count = params.parallel.processes if PARALLEL in stage.sections else 1
    if count == 1:
        return [stage_python(), *_CHILD, stage.name, str(work)]
    launcher = _accelerate(root, params) if on_gpu else _torchrun(params)
    return [stage_python(), "-m", *launcher, *_CHILD, stage.name, str(work)]


def accelerate_file(root: Path, strategy: str) -> Path:
    """Return the configuration of accelerate for the strategy; `ConfigError` if it is missing."""
    path = root / PROFILES / "accelerate" / f"{strategy}.yaml"
    if not path.is_file():
        raise ConfigError("does not exist", file=path, field="parallel.strategy", value=strategy, hint=f"git checkout -- {path.parent}")
    return path


def _accelerate(root: Path, params: Params) -> list[str]:
    return [
        "accelerate.commands.launch",
        f"--config_file={accelerate_file(root, params.parallel.strategy)}",
        f"--num_processes={params.parallel.processes}",
        f"--num_cpu_threads_per_process={params.compute.threads}",
        f"--mixed_precision={'bf16' if params.compute.dtype == 'bfloat16' else 'no'}",
        "--main_process_port=0",  # any free one
    ]


def _torchrun(params: Params) -> list[str]:
    if params.parallel.strategy != "ddp":
        raise ConfigError(
            "shards a model over GPUs, and there is none",
            file=PARAMETERS,
            field="parallel.strategy",
            value=params.parallel.strategy,
            hint="set it to ddp, or parallel.processes to 1",
        )
    return ["torch.distributed.run", "--standalone", f"--nproc_per_node={params.parallel.processes}"]
