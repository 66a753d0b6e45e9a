"""How a stage's process is started: by itself, or by a launcher that starts several which train one model together.

Stages that read the section `parallel` are those that can. On GPUs accelerate's launcher reads `profiles/accelerate/`; on a CPU
it starts one process only, so torch's own launcher does it there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ascl_core.config.params import Params
from ascl_core.config.profiles import FOLDER
from ascl_core.errors import ConfigError
from tasks.registry.stages import PARALLEL, Stage

_CHILD = ("-m", "tasks.execution.child")


def command(root: Path, stage: Stage, work: Path, params: Params, *, on_gpu: bool) -> list[str]:
    """The command line that runs the stage in `work`; `ConfigError` where this machine cannot train by that strategy."""
    count = params.parallel.processes if PARALLEL in stage.sections else 1
    if count == 1:
        return [sys.executable, *_CHILD, stage.name, str(work)]
    launcher = _accelerate(root, params) if on_gpu else _torchrun(params)
    return [sys.executable, "-m", *launcher, *_CHILD, stage.name, str(work)]


def accelerate_file(root: Path, strategy: str) -> Path:
    """The configuration of accelerate for that strategy; `ConfigError` where it is missing."""
    path = root / FOLDER / "accelerate" / f"{strategy}.yaml"
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
        "--main_process_port=0",  # any that is free
    ]


def _torchrun(params: Params) -> list[str]:
    if params.parallel.strategy != "ddp":
        raise ConfigError(
            "shards a model over GPUs, and there is none",
            file="params.yaml",
            field="parallel.strategy",
            value=params.parallel.strategy,
            hint="set it to ddp, or parallel.processes to 1",
        )
    return ["torch.distributed.run", "--standalone", f"--nproc_per_node={params.parallel.processes}"]
