"""Whether the checks upstream of a stage passed on what is on disk now: a check that failed since leaves its last pass there."""

from __future__ import annotations

from pathlib import Path

from ascl_core.errors import StageError
from ascl_core.text import some
from tasks.evidence.record import changed_inputs, edited_outputs, is_other_code, read_record
from tasks.registry.dependencies import read_dependencies
from tasks.registry.stages import Artifact, Stage, StageKind, upstream_stages


def upstream_checks(stage: Stage) -> list[Stage]:
    """Return the checks and decisions whose outcome reaches the stage, in the order in which they run."""
    return [one for one in upstream_stages(stage) if one != stage and one.kind in (StageKind.CHECK, StageKind.DECISION)]


def read_by_checks(stage: Stage) -> list[Artifact]:
    """Return what `require_checks` reads besides the inputs of the stage: the inputs and the record of each check."""
    return [artifact for check in upstream_checks(stage) for artifact in (*check.input_artifacts(), check.record)]


def require_checks(root: Path, stage: Stage) -> None:
    """Raise `StageError` unless every check upstream of the stage passed on the current data, with the current code and parameters."""
    for check in upstream_checks(stage):
        if changed := changes_since_pass(root, check):
            problem = f"{stage.name} needs the check {check.name}, which has not passed since this changed: {some(changed)}"
            hint = f"ascl stages run {check.name} says whether it passes; ascl run runs whatever is not up to date"
            raise StageError(problem, field=check.name, hint=hint)


def changes_since_pass(root: Path, check: Stage) -> list[str]:
    """Return what differs from the last pass of the check: paths, sections of `params.yaml`, `its code`; empty if it holds now.

    An output that is missing is no difference: no stage can read it.
    """
    record = read_record(root / check.record.path)
    if record is None:
        return [check.record.path]
    dependencies = read_dependencies(root, check)
    code = ["its code"] if is_other_code(record, dependencies) else []
    return [*changed_inputs(record, dependencies), *code, *edited_outputs(root, record)]
