"""The outputs of stages: recorded in `dvc.lock` and the cache, and brought back from there or from the remote."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from pathlib import Path

from ascl_core.artifacts import write_text
from ascl_core.errors import StageCrashed, WorkspaceError
from tasks.registry.stages import Stage
from tasks.repository import cache, dvc, dvc_lock, transfer
from tasks.repository.staleness import staleness

_log = logging.getLogger(__name__)


def record(root: Path, stage: Stage) -> None:
    """Take the stage's outputs into the cache and write them, with its dependencies, to `dvc.lock`.

    `WorkspaceError` where the cache did not take all of them, `StageCrashed` where DVC was killed; then `dvc.lock` is as before.
    """
    write_text(root / transfer.OWED, f"{stage.name}\n")
    before = dvc_lock.read_text(root / "dvc.lock") if (root / "dvc.lock").exists() else None
    done = dvc.run_alone(root, "commit", "--force", stage.name)
    if done.returncode == 0 and "failed to transfer" not in done.stderr:  # of which DVC says nothing in its status
        return
    if before is None:
        (root / "dvc.lock").unlink(missing_ok=True)
    else:
        write_text(root / "dvc.lock", before)
    dvc.heed_full_disk(root, done)
    if done.returncode < 0:
        raise StageCrashed(
            f"dvc commit was {dvc.killed(done)}", field=stage.name, hint="run it again: its outputs are in place, to be recorded"
        )
    hint = "check the space and the permissions of .dvc/cache, and run again"
    raise WorkspaceError(f"dvc commit failed: {dvc.complaint(done)}", file=root / "dvc.yaml", hint=hint)


def restore(root: Path, stage: Stage) -> bool:
    """Bring the recorded outputs back from the cache or the remote; False where neither has all of them."""
    if dvc.run_alone(root, "checkout", "--force", stage.name).returncode == 0 and not staleness(root, [stage])[stage.name]:
        return True
    try:
        transfer.transfer(root, "pull", "--force", stage.name, attempts=1)
    except WorkspaceError as error:
        _log.warning("%s is not restored: %s", stage.name, error.problem)
        return False
    return not staleness(root, [stage])[stage.name]


def bring(root: Path, stages: list[Stage]) -> None:
    """Have the outputs of these stages as `dvc.lock` names them, whatever their code and parameters are now, from the cache or the remote.

    `WorkspaceError` where DVC says that it cannot. It may not say so: whoever relies on the bytes compares their digests.
    """
    names = [stage.name for stage in stages]
    with dvc.one_at_a_time(root):
        done = dvc.run(root, "checkout", "--force", "--quiet", *names)
    if done.returncode != 0 or not _is_as_locked(root, stages):
        dvc.call(root, "pull", "--force", "--quiet", *names, hint="run it where its outputs still are: dvc push, and try again")


def _is_as_locked(root: Path, stages: list[Stage]) -> bool:
    wanted = {path: found for stage in stages for path, found in dvc_lock.locked(root, stage, "outs").items()}
    return all((root / path).exists() and cache.md5(root / path) == found for path, found in wanted.items())


def fetch(root: Path, paths: Collection[str]) -> None:
    """Have the recorded outputs at these paths in place, from the cache or the remote, whatever lies there now; runs no stage.

    What is not recorded is left alone. `WorkspaceError` where neither has one of them.
    """
    dvc.ensure(root)
    known = {out["path"] for entry in dvc_lock.recorded(root).values() for out in entry.get("outs", ())} if paths else set()
    wanted = sorted(known.intersection(paths))
    if not wanted:
        return
    done = dvc.run_alone(root, "checkout", "--force", *wanted)
    dvc.heed_full_disk(root, done)
    if done.returncode != 0:
        transfer.transfer(root, "pull", "--force", *wanted)


def fetch_recorded(root: Path, commit: str, path: str, into: Path) -> Path:
    """Bring the file or folder `path`, as that commit's `dvc.lock` records it, under `into`; from the cache, else from the remote."""
    target = into / path
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    hint = "fetch it from the remote that has it: dvc remote list"
    dvc.call(root, "get", "--quiet", "--rev", commit, "--out", str(target), ".", path, hint=hint)
    return target


def fetch_to_cache(root: Path, paths: Collection[str]) -> None:
    """Bring these recorded outputs from the remote into the cache, and into no working tree; `WorkspaceError` where it has not all."""
    transfer.transfer(root, "fetch", *sorted(paths))
