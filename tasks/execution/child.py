"""The process in which a stage's function runs, `python -m tasks.execution.child STAGE WORK`; only the supervisor starts it.

A launcher (`tasks.execution.launch`) starts several, which train one model together. All call the function; the first one reports progress
and metrics, and each ends when the launcher does.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ascl_core.artifacts import write_json
from ascl_core.config.params import load_params
from ascl_core.contracts import StageContext
from ascl_core.errors import AsclError, dump_error
from ascl_core.progress import ENVIRONMENT_VARIABLE
from tasks.execution.engine import on_engine
from tasks.execution.supervisor import end_with_parent
from tasks.host.gpus import use_first_gpu_only
from tasks.registry.paths import PARAMETERS
from tasks.registry.stages import Artifact, Stage, get_stage
from tasks.repository.worktrees import opened_run

STATE, OUT, METRICS, ERROR = "state", "out", "metrics.json", "error.json"


def call(root: Path, stage: Stage, work: Path) -> dict[str, Any]:
    """Call the stage's function with its sections, inputs and outputs, and return the metrics that it returns."""
    module, _, name = stage.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    params = load_params(root / PARAMETERS)
    arguments: dict[str, Any] = {section: getattr(params, section) for section in stage.sections}
    arguments |= {key: _paths(root, value) for key, value in stage.inputs.items()}
    for key, artifact in stage.outputs.items():
        arguments[key] = work / OUT / artifact.path
        arguments[key].parent.mkdir(parents=True, exist_ok=True)
    context = StageContext(state=work / STATE, map=on_engine, run=opened_run(root))
    context.state.mkdir(parents=True, exist_ok=True)
    inspect.signature(function).bind(**arguments, **stage.constants, context=context)
    return dict(function(**arguments, **stage.constants, context=context))


def main() -> int:
    """Run one stage; a user's error is written as JSON for the supervisor, any other one is in the log."""
    stage, work = get_stage(sys.argv[1]), Path(sys.argv[2])
    is_first = _is_first_process()
    try:
        metrics = call(Path.cwd(), stage, work)
        if is_first:
            write_json(work / METRICS, metrics)
    except AsclError as error:
        return dump_error(error, work / ERROR)
    return 0


def _is_first_process() -> bool:
    """Set up this process beside the others of its launcher, if any; return whether it is the first or the only one."""
    rank = os.environ.get("RANK")
    if rank is None:
        use_first_gpu_only()
        return True
    end_with_parent(os.getppid(), signal.SIGKILL)()
    if rank != "0":
        os.environ.pop(ENVIRONMENT_VARIABLE, None)
    return rank == "0"


def _paths(root: Path, value: Artifact | tuple[Artifact, ...]) -> Path | tuple[Path, ...]:
    return tuple(root / artifact.path for artifact in value) if isinstance(value, tuple) else root / value.path


if __name__ == "__main__":
    sys.exit(main())
