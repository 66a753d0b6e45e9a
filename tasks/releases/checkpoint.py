"""The checkpoint that a person names to serve, chat with or evaluate: a folder, a hub id or a release, with the rules to use."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import atomic_path, digest, read_json
from ascl_core.errors import ReleaseError
from ascl_core.released import RELEASE_INDEX, checkpoint_digest
from tasks.registry.paths import FETCHED_CHECKPOINTS
from tasks.registry.stages import CHECKPOINT, CORPUS
from tasks.releases.content import CORPORA
from tasks.releases.fetch import fetch
from tasks.releases.history import FIRST
from tasks.releases.verify import verify_release
from tasks.repository.git import export, git, show
from tasks.repository.released import CURRENT, is_release, released_commit


@dataclass(frozen=True)
class NamedCheckpoint:
    """A checkpoint and the rules to use with it."""

    model: str
    """A folder, or a hub id."""
    corpus: Path
    release: str | None = None
    """The tag, if a release was named and its own rules are used."""
    index: Path | None = None
    """The release's own index of these rules; older releases have none."""


def named_checkpoint(root: Path, start: Path, name: str, corpus: Path | None) -> NamedCheckpoint:
    """Return the checkpoint that a person in the folder `start` named; `corpus` replaces its rules."""
    own = (start / corpus).resolve() if corpus else None
    if is_release(name):
        found = _released(root, name)
        return NamedCheckpoint(found.model, own) if own else found
    folders = [folder for folder in ((start / name).resolve(), (root / name).resolve()) if folder.exists()]
    return NamedCheckpoint(str(folders[0]) if folders else name, own or root / CORPUS.path)


def _released(root: Path, name: str) -> NamedCheckpoint:
    """Return the checkpoint and the rules of a release, from the cache or the remote; keep them in `.ascl/checkpoints`.

    `ReleaseError` if there is no such release, or a signature or a digest does not hold.
    """
    if name == CURRENT and released_commit(root) is None:
        raise ReleaseError("nothing is released yet", hint=f"{FIRST}; or give a CHECKPOINT, such as {CHECKPOINT}")
    release = verify_release(root, None if name == CURRENT else name)
    parent = root / FETCHED_CHECKPOINTS / release.record.checkpoint.sha256
    folder = parent / release.tag.replace("/", "-")
    if folder.exists() and digest(folder) != release.record.checkpoint.sha256:
        shutil.rmtree(folder)
    if not folder.exists():
        fetch(root, folder, release.tag)
    corpus = parent / f"{folder.name}.corpus.json"
    with atomic_path(corpus) as temporary:
        temporary.write_bytes(show(root, release.commit, release.folder / CORPORA["served"]))
    index = release.folder / RELEASE_INDEX
    has_index = bool(git(root, "ls-tree", release.commit, "--", str(index)))
    exported = export(root, release.commit, index, parent / f"{folder.name}.files") if has_index else None
    return NamedCheckpoint(str(folder), corpus, release.tag, exported)


def release_of(root: Path, checkpoint: Path, corpus: Path) -> str | None:
    """Return the tag of the current release if the folder has its weights and the file its rules, else None."""
    if released_commit(root) is None or not checkpoint.is_dir():
        return None
    try:
        current = verify_release(root)
    except ReleaseError:  # its signatures do not hold: then nothing here is released
        return None
    same = checkpoint_digest(checkpoint) == current.record.checkpoint.sha256 and read_json(corpus)["digest"] == current.record.rules
    return current.tag if same else None
