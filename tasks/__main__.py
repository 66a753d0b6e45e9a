"""`python -m tasks STAGE`: run one stage, as `dvc repro` does by `tasks/stage.sh`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ascl_core.errors import AsclError, WorkspaceError
from tasks.execution.checks import require_checks
from tasks.execution.runner import is_published, run_stage
from tasks.execution.supervisor import end_with_parent
from tasks.registry.dvcfile import check_sources
from tasks.registry.stages import RELEASED, STAGES, Stage, get_stage
from tasks.repository.released import is_current, released_tag


def main() -> int:
    """Run the stage that the command line names; an error is one message and the error's exit status."""
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(f"usage: python -m tasks STAGE\n\nRun one stage. Stages: {', '.join(stage.name for stage in STAGES)}", file=sys.stderr)
        return 2
    if "DVC_STAGE" in os.environ:
        end_with_parent(os.getppid(), signal.SIGTERM)()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        root, stage = Path.cwd(), get_stage(sys.argv[1])
        check_sources(root, stage)
        _check_released(root, stage)
        require_checks(root, stage)
        finished = run_stage(root, stage, unless=lambda: is_published(root, stage))
    except AsclError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    if finished is None:
        print(f"{stage.name}: its outputs are up to date")
    else:
        metrics = ", ".join(f"{name} {value}" for name, value in finished.record.metrics.items())
        print(f"{stage.name}: {finished.record.seconds} s; {metrics}")
    return 0


def _check_released(root: Path, stage: Stage) -> None:
    """Raise `WorkspaceError` if the stage would read an old release: DVC has already recorded its files as the input."""
    if RELEASED in stage.input_artifacts() and not is_current(root):
        problem = f"holds another release than {released_tag(root) or 'the branch releases, which has none'}"
        raise WorkspaceError(problem, file=RELEASED.path, hint="ascl release sync, and start it again")


if __name__ == "__main__":
    sys.exit(main())
