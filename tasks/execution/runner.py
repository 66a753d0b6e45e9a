"""Run a stage in its own scratch folder, publish its outputs by rename, and write its record last.

    scratch/<stage>/<digest of data, code and parameters>/
        state/          what the function resumes from
        out/            its outputs
        record.json     written when they are complete and checked, before the publication

A run that was killed continues from there: with the same inputs it resumes from `state/`, or only publishes finished outputs.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ascl_core.artifacts import digest, read_json, sha256_tree, tree_digest, write_json
from ascl_core.config.params import load_params
from ascl_core.errors import AsclError, StageCrashed, StageError, WorkspaceError, load_error
from ascl_core.progress import ProgressEvent
from tasks.evidence.log import write_record
from tasks.evidence.record import Record, make_record, parse_record, read_record
from tasks.execution import child
from tasks.execution.launch import command
from tasks.execution.supervisor import OnEvent, log_file, only_supervisor, run_supervised
from tasks.host.gpus import gpus
from tasks.registry.dependencies import Dependencies, read_dependencies
from tasks.registry.paths import PARAMETERS, SCRATCH
from tasks.registry.stages import Stage
from tasks.repository.locking import lock_file

RECORD = "record.json"
_LAUNCHER = "torch.distributed.elastic"
_ERROR = re.compile(r"(?:\[rank\d+\]: ?)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*)")
_FAULT = re.compile(
    r"\bSIG(KILL|SEGV|BUS|ABRT)\b|CUDA error|CUDNN_STATUS_|CUBLAS_STATUS_|NCCL (error|timeout)|AcceleratorError"
    r"|uncorrectable ECC|GPU is lost"
)
_TAIL = 60
"""The lines at the end of a log that are searched for `_FAULT`: what launchers, drivers and libraries print if a process or a GPU died.

Too little memory is not among it.
"""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Finished:
    """The record and the log of a run of a stage."""

    record: Record
    log: Path


def run_stage(
    root: Path,
    stage: Stage,
    *,
    on_event: OnEvent = lambda _: None,
    unless: Callable[[], bool] = lambda: False,
    run_id: str | None = None,
) -> Finished | None:
    """Run the stage and publish its outputs; None if `unless`, called when no other process runs the stage, returns True.

    Raises the stage's own error, or `StageError` if it ran out of time, ended without its outputs, or if its data, code or parameters
    changed while it ran. Then nothing is published.
    """
    lock = lock_file(root, stage.name)
    waiting = ProgressEvent(f"wait for another run of {stage.name}", 0, None)
    try:
        with only_supervisor(lock, wait_s=stage.timeout_s, on_wait=lambda: on_event(waiting)):
            return None if unless() else _run(root, stage, lock, on_event, run_id)
    except OSError as error:
        raise _disk_error(error, root) from error


def is_published(root: Path, stage: Stage) -> bool:
    """Return whether the record says that the outputs are those of the current data, code and parameters."""
    record = read_record(root / stage.record.path)
    if record is None:
        return False
    outputs = record.outputs
    paths = {artifact.path for artifact in stage.outputs.values()}
    if set(outputs) != paths or not all((root / path).exists() and digest(root / path) == outputs[path] for path in paths):
        return False
    return record.digest == read_dependencies(root, stage).digest


def _run(root: Path, stage: Stage, lock: Path, on_event: OnEvent, run_id: str | None) -> Finished:
    dependencies = read_dependencies(root, stage)
    folder = root / SCRATCH / stage.name
    work = folder / dependencies.digest[:16]
    log = log_file(root, stage.name)
    _remove_others(folder, work)
    if not _is_finished(root, stage, work):
        _compute(root, stage, dependencies, work, lock, log, on_event)
    record = parse_record((work / RECORD).read_bytes(), work / RECORD).model_copy(update={"prefect_run": run_id})
    _publish(root, stage, work)
    write_record(root, stage, record)
    shutil.rmtree(work)
    return Finished(record, log)


def _compute(root: Path, stage: Stage, dependencies: Dependencies, work: Path, lock: Path, log: Path, on_event: OnEvent) -> None:
    started = datetime.now(UTC)
    shutil.rmtree(work / child.OUT, ignore_errors=True)
    for name in (child.ERROR, child.METRICS, RECORD):
        (work / name).unlink(missing_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    params = load_params(root / PARAMETERS)
    status = run_supervised(
        command(root, stage, work, params, on_gpu=params.compute.device != "cpu" and bool(gpus())),
        lock=lock,
        cwd=root,
        log=log,
        progress=work / "progress.jsonl",
        timeout_s=stage.timeout_s,
        on_event=on_event,
    )
    if status != 0:
        raise explain_failure(stage, status, work, log)
    files = {artifact.path: _output_files(stage, work, artifact.path, log) for artifact in stage.outputs.values()}
    if moved := dependencies.differences(read_dependencies(root, stage)):
        raise StageError(f"changed while {stage.name} ran; its outputs were not published", file=", ".join(moved[:5]), hint="run it again")
    outputs, metrics = {path: tree_digest(tree) for path, tree in files.items()}, read_json(work / child.METRICS)
    record = make_record(root, stage, dependencies, outputs, metrics, started, files=files, written=work / child.OUT)
    write_json(work / RECORD, record.dump())


def _output_files(stage: Stage, work: Path, path: str, log: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an output."""
    written = work / child.OUT / path
    if not written.exists():
        raise StageError(f"{stage.name} ended without writing it", file=path, hint=f"read {log}")
    return sha256_tree(written)


def _is_finished(root: Path, stage: Stage, work: Path) -> bool:
    """Return whether an earlier run was killed after it had computed all outputs, and they are still complete."""
    record = read_record(work / RECORD)
    if record is None:
        return False
    wanted = record.outputs
    return all(
        path in wanted and any(file.exists() and digest(file) == wanted[path] for file in (work / child.OUT / path, root / path))
        for path in (artifact.path for artifact in stage.outputs.values())
    )


def _publish(root: Path, stage: Stage, work: Path) -> None:
    old = work / "replaced"
    for artifact in stage.outputs.values():
        new, target = work / child.OUT / artifact.path, root / artifact.path
        if not new.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
        os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def _remove_others(folder: Path, work: Path) -> None:
    """Remove what is left of runs with other inputs."""
    for other in folder.iterdir() if folder.exists() else ():
        if other != work:
            shutil.rmtree(other)


def explain_failure(stage: Stage, status: int | None, work: Path, log: Path) -> AsclError:
    """Return the error for a process that ended with `status`, or with None at the stage's time limit."""
    if status is None:
        limit = f"{stage.timeout_s} s"
        return StageError(f"{stage.name} ran out of time and was ended", value=limit, hint="run it again: it resumes from its last save")
    if (work / child.ERROR).exists():
        return load_error(work / child.ERROR)
    lines = log.read_text(errors="replace").splitlines()
    last = _last_message(lines)
    if "No space left on device" in last:
        return _full_disk(work)
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    kind = StageCrashed if status < 0 or _FAULT.search("\n".join(lines[-_TAIL:])) else StageError
    return kind(f"{stage.name} {how}: {last[:300]}", hint=f"read {log}, and run again: it resumes from its last save")


def _last_message(lines: list[str]) -> str:
    """Return the last line with text, or the error of the process whose failure a launcher reports."""
    reports = [number for number, line in enumerate(lines) if _LAUNCHER in line]
    errors = [match[1] for line in lines[: reports[0]] if (match := _ERROR.match(line))] if reports else []
    printed = [line for line in lines if line.strip(" =-")]
    return errors[-1] if errors else printed[-1] if printed else "no output"


def _full_disk(file: object) -> AsclError:
    return WorkspaceError("no space left on the disk", file=file, hint="free some space, and run again: what was finished is kept")


def _disk_error(error: OSError, root: Path) -> AsclError:
    if error.errno in _NO_SPACE:
        return _full_disk(error.filename or root)
    return WorkspaceError(error.strerror or str(error), file=error.filename or root, hint="check its permissions, and run again")
