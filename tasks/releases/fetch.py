"""The checkpoint of a release, in a folder for a deployment: whole, of the digest that was signed, and nothing that runs code."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ascl_core.artifacts import digest
from ascl_core.errors import ReleaseError
from tasks.registry.stages import CANDIDATE, CHECKPOINT
from tasks.releases.candidate import same
from tasks.releases.verify import Release, verify_release
from tasks.releases.weights import check_weights
from tasks.repository import outputs
from tasks.repository.worktrees import temporary_worktree


def fetch(root: Path, into: Path, tag: str | None = None) -> Release:
    """Copy the checkpoint of a release, or of what is released now, to the new folder `into`, and return the release.

    The bytes that arrive are those that are checked; the folder appears when they are right, or not at all.
    """
    if into.exists():
        raise ReleaseError("is there already", file=into, hint="give a folder that does not exist")
    release = verify_release(root, tag)
    into.parent.mkdir(parents=True, exist_ok=True)
    with (
        temporary_worktree(root, release.commit) as worktree,
        tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{into.name}.") as beside,
    ):
        outputs.check_out(worktree, [CANDIDATE])
        check_weights(worktree / CHECKPOINT)
        copied = Path(beside) / "checkpoint"
        shutil.copytree(worktree / CHECKPOINT, copied)
        same(f"SHA-256 of {CHECKPOINT}", digest(copied), release.tag, release.record.checkpoint.sha256)
        copied.rename(into)
    return release
