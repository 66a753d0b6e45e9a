"""Keeping a stage's outputs across a change of its code, because a person vouches that it changes none of them."""

from __future__ import annotations

from pathlib import Path

from ascl_core.errors import ConfigError, WorkspaceError
from tasks.evidence.acceptance import accepted
from tasks.evidence.log import write_record
from tasks.evidence.record import changed_inputs, edited_outputs, read_record
from tasks.evidence.trust import PrivateKey, Role, read_trust
from tasks.execution.supervisor import only_supervisor
from tasks.registry.dependencies import read_dependencies
from tasks.registry.stages import Stage
from tasks.repository import outputs
from tasks.repository.locking import lock_file


def accept(root: Path, stage: Stage, reason: str, key: PrivateKey) -> None:
    """Record the stage's outputs as those of its current code, with a statement that the approver's key signs.

    `ConfigError` without a reason; `WorkspaceError` where the stage never ran, where its code did not change, where anything but its code
    changed, or where its outputs are not those of its record; `ReleaseError` for a key that may not sign.
    """
    if not reason.strip():
        raise ConfigError("is empty", field="--reason", hint="say why the change of code changes no output")
    approver = read_trust(root).owner(key, Role.APPROVER)
    with only_supervisor(lock_file(root, stage.name), wait_s=stage.timeout_s):
        record = read_record(root / stage.record.path)
        if record is None:
            raise WorkspaceError(f"{stage.name} has no record, so there is nothing to accept", file=stage.record.path, hint="ascl run")
        dependencies = read_dependencies(root, stage)
        if record.digest == dependencies.digest:
            raise WorkspaceError(
                f"the code of {stage.name} did not change", field="STAGE", value=stage.name, hint="ascl plan says what would run"
            )
        missing = [path for path in record.outputs if not (root / path).exists()]
        other = [*changed_inputs(record, dependencies), *missing, *edited_outputs(root, record)]
        if other or record.function != dependencies.function:
            problem = f"not only the code of {stage.name} changed: {', '.join(other) or 'its function'}"
            raise WorkspaceError(problem, field="STAGE", value=stage.name, hint="ascl run makes it anew")
        write_record(root, stage, accepted(record, stage, dependencies, approver.name, reason.strip(), key))
        outputs.record(root, stage)
