"""Fetch the checkpoint of a release for a deployment: complete, with the signed digest, and with nothing that runs code."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ascl_core.errors import ReleaseError
from ascl_core.released import MODEL_CARD, MODEL_KEY, MODEL_SIGNATURE
from tasks.registry.paths import MODEL_KEY as PUBLIC
from tasks.registry.stages import CANDIDATE, CHECKPOINT
from tasks.releases.content import CARDS
from tasks.releases.verify import Release, check_checkpoint, verify_release
from tasks.releases.weights import check_weights
from tasks.repository import outputs
from tasks.repository.git import show
from tasks.repository.worktrees import temporary_worktree


def fetch(root: Path, into: Path, tag: str | None = None, *, with_card: bool = False) -> Release:
    """Copy the checkpoint of a release, by default the current one, to the new folder `into`, and return the release.

    `with_card` adds the model card as `README.md`, and the weights' own signature with its key, if there is one.
    The copied bytes are checked; the folder appears only if they are right.
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
        check_checkpoint(copied, release.record)
        if with_card:
            _add_card(root, release, copied)
        copied.rename(into)
    return release


def _add_card(root: Path, release: Release, folder: Path) -> None:
    """Add the model card, and the weights' signature with its public key, of those that exist."""
    found = {
        MODEL_CARD: show(root, release.commit, release.folder / CARDS[0], missing=b""),
        MODEL_SIGNATURE: show(root, release.commit, release.folder / MODEL_SIGNATURE, missing=b""),
        MODEL_KEY: show(root, "HEAD", PUBLIC, missing=b""),
    }
    for name, content in found.items():
        if content:
            (folder / name).write_bytes(content)
