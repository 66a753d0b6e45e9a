"""The outputs of stages: recorded in `dvc.lock` and the cache, and fetched from there or from the remote."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from pathlib import Path

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.errors import StageCrashed, WorkspaceError
from tasks.registry.paths import DVC_LOCK, DVC_YAML, TO_PUSH
from tasks.registry.stages import Stage, upstream
from tasks.repository import cache, dvc, dvc_lock, transfer
from tasks.repository.staleness import staleness

_log = logging.getLogger(__name__)


def record(root: Path, stage: Stage) -> None:
    """Copy the stage's outputs into the cache and write them, with its dependencies, to `dvc.lock`.

    `WorkspaceError` if the cache lacks one afterwards, `StageCrashed` if DVC was killed; `dvc.lock` is then unchanged.
    """
    write_text(root / TO_PUSH, f"{stage.name}\n")
    with dvc.one_at_a_time(root):
        before = dvc_lock.read_text(root / DVC_LOCK) if (root / DVC_LOCK).exists() else None
        done = dvc.run(root, "commit", "--force", stage.name)
        if done.returncode == 0 and "failed to transfer" not in done.stderr:  # which DVC's exit status does not show
            return
        if before is None:
            (root / DVC_LOCK).unlink(missing_ok=True)
        else:
            write_text(root / DVC_LOCK, before)
    dvc.check_disk(root, done)
    if done.returncode < 0:
        raise StageCrashed(
            f"dvc commit was {dvc.killed(done)}", field=stage.name, hint="run it again: its outputs are kept and need only be recorded"
        )
    hint = "check the space and the permissions of .dvc/cache, and run again"
    raise WorkspaceError(f"dvc commit failed: {dvc.error_line(done)}", file=root / DVC_YAML, hint=hint)


def restore(root: Path, stage: Stage) -> bool:
    """Restore the recorded outputs from the cache or the remote; return False if neither has all of them."""
    if dvc.run_exclusively(root, "checkout", "--force", stage.name).returncode == 0 and not staleness(root, [stage])[stage.name]:
        return True
    try:
        transfer.transfer(root, "pull", "--force", stage.name, attempts=1)
    except WorkspaceError as error:
        _log.warning("%s is not restored: %s", stage.name, error.problem)
        return False
    return not staleness(root, [stage])[stage.name]


def restore_lost(root: Path, stages: list[Stage]) -> dict[str, tuple[str, ...]]:
    """Restore from the cache, all at once, the outputs of stages that have none here and are up to date otherwise; return why, by name.

    A new worktree is in that state. DVC parses `dvc.lock` once for all of them, and not five times for each. `stages` are in an order in
    which they can run; what the cache lacks is left to `restore`.
    """
    if not (root / DVC_LOCK).exists():
        return {}
    known = dvc_lock.recorded(root)
    missing = {path: md5 for path, md5 in dvc_lock.md5s(known).items() if not (root / path).exists()}
    lost = {name for name, entry in known.items() if dvc_lock.md5s({name: entry}).keys() <= missing.keys()}
    if not lost:
        return {}
    stale, kept = staleness(root, stages, inputs=missing), set[str]()
    for stage in stages:
        found = stale[stage.name]
        if (not found or found.restorable) and not found.rewritten and all(made.name in kept for made in upstream(stage).values()):
            kept.add(stage.name)
    if chosen := sorted(kept & lost):
        dvc.run_exclusively(root, "checkout", "--force", "--quiet", *_targets(root, chosen))
    return {name: stale[name].reasons for name in chosen}


def check_out(root: Path, stages: list[Stage]) -> None:
    """Restore the outputs of these stages as `dvc.lock` names them, whatever their current code and parameters, from cache or remote.

    `WorkspaceError` if DVC reports a failure. It does not report all: callers that rely on the bytes compare their digests.
    """
    targets = _targets(root, [stage.name for stage in stages])
    done = dvc.run_exclusively(root, "checkout", "--force", "--quiet", *targets)
    if done.returncode != 0 or not _is_as_locked(root, stages):
        dvc.call(root, "pull", "--force", "--quiet", *targets, hint="push them from the machine that has them: ascl push; then try again")


def _targets(root: Path, names: list[str]) -> list[str]:
    """Return what to give DVC, which parses `dvc.lock` anew for each target: the file of all stages, if it is about all of them."""
    return [DVC_YAML] if set(names) == set(read_yaml(root / DVC_YAML)["stages"]) else names


def _is_as_locked(root: Path, stages: list[Stage]) -> bool:
    known = dvc_lock.read_stages(root)
    wanted = dvc_lock.md5s({stage.name: known.get(stage.name, {}) for stage in stages})
    return all((root / path).exists() and cache.md5(root / path) == found for path, found in wanted.items())


def fetch(root: Path, paths: Collection[str]) -> None:
    """Restore the recorded outputs at these paths from the cache or the remote, over whatever is there; runs no stage.

    Paths that are not recorded are ignored. `WorkspaceError` if neither has one of the others.
    """
    dvc.require_configured(root)
    wanted = sorted(dvc_lock.md5s(dvc_lock.recorded(root)).keys() & set(paths)) if paths else []
    if not wanted:
        return
    done = dvc.run_exclusively(root, "checkout", "--force", *wanted)
    dvc.check_disk(root, done)
    if done.returncode != 0:
        transfer.transfer(root, "pull", "--force", *wanted)


def fetch_recorded(root: Path, commit: str, path: str, into: Path) -> Path:
    """Fetch the file or folder `path`, as that commit's `dvc.lock` records it, to `into`, and return its new path."""
    target = into / path
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    hint = "fetch it from the remote that has it: dvc remote list"
    dvc.call(root, "get", "--quiet", "--rev", commit, "--out", str(target), ".", path, hint=hint)
    return target


def fetch_to_cache(root: Path, paths: Collection[str]) -> None:
    """Fetch these recorded outputs from the remote into the cache only; `WorkspaceError` if the remote lacks one."""
    transfer.transfer(root, "fetch", *sorted(paths))
