"""The outputs that a branch or a tag names: those of every run and release, which outlive the working tree's `dvc.lock`.

DVC pushes and fetches them in one call, from a temporary folder whose only `.dvc` file lists them all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import to_json, write_text
from tasks.registry.paths import DVC_CONFIG, DVC_LOCK, LOCAL
from tasks.repository import dvc_config, dvc_lock, transfer
from tasks.repository.cache import OBJECTS, cached_files
from tasks.repository.git import git, short_name
from tasks.repository.remotes import Remote
from tasks.repository.store_audit import stored_sizes

WORKING_TREE = DVC_LOCK
"""The name of what the working tree's `dvc.lock` records."""
_REFS = ("refs/heads", "refs/tags", "refs/remotes/origin")


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    moved: int
    """The number of files."""
    lost: Mapping[str, tuple[str, ...]]
    """The branches and tags whose data is neither here nor in the remote: the paths of the outputs, by name."""


def named_outputs(root: Path) -> dict[str, dict[str, str]]:
    """Return the MD5 of each output, by path, that the working tree, a branch or a tag records, by its name; equal ones once.

    Branches of `origin` count, as a clone has the runs of others only there.
    """
    found = {WORKING_TREE: dvc_lock.md5s(dvc_lock.recorded(root))}
    for blob, name in _locks(root).items():
        found[name] = dvc_lock.md5s(dvc_lock.stages_in(git(root, "cat-file", "blob", blob), file=f"{DVC_LOCK} of {name}"))
    return found


def push(root: Path) -> Pushed:
    """Copy to the remote what it lacks of all named outputs; `WorkspaceError` if that fails, and the next push sends the rest."""
    remote, before = transfer.require_remote(root, "push"), transfer.stamp(root)
    named = named_outputs(root)
    here = {md5 for md5 in _distinct(named) if _is_here(root, md5)}
    moved = _transfer(root, "push", here)
    transfer.clear_pending(root, before)
    return Pushed(moved, _lost(remote, named, here))


def fetch(root: Path) -> int:
    """Fetch all named outputs from the remote into the cache; return the number of files. `WorkspaceError` if it lacks one."""
    transfer.require_remote(root, "fetch")
    return _transfer(root, "fetch", _distinct(named_outputs(root)))


def _distinct(named: Mapping[str, Mapping[str, str]]) -> set[str]:
    return {md5 for outputs in named.values() for md5 in outputs.values()}


def _locks(root: Path) -> dict[str, str]:
    """Return the name of a branch or tag for each different `dvc.lock` that one has, by the blob's id."""
    refs = [line for line in git(root, "for-each-ref", "--format=%(refname)", *_REFS).splitlines() if not line.endswith("/HEAD")]
    asked = "".join(f"{ref}:{DVC_LOCK}\n" for ref in refs)
    answers = git(root, "cat-file", "--batch-check=%(objectname) %(objecttype)", given=asked).splitlines() if refs else []
    blobs: dict[str, str] = {}
    for ref, answer in zip(refs, answers, strict=True):
        blob, _, kind = answer.partition(" ")
        if kind == "blob":
            blobs.setdefault(blob, short_name(ref))
    return blobs


def _is_here(root: Path, md5: str) -> bool:
    """Return whether the cache has the whole output."""
    files = cached_files(root, md5)
    return bool(files) and all(files.values())


def _lost(remote: Remote, named: Mapping[str, Mapping[str, str]], here: set[str]) -> dict[str, tuple[str, ...]]:
    """Return the outputs of each name that neither the cache nor the remote has."""
    elsewhere = _distinct(named) - here
    gone = elsewhere - (_stored(remote, elsewhere) if elsewhere else set())
    lost = {name: tuple(path for path, md5 in outputs.items() if md5 in gone) for name, outputs in named.items()}
    return {name: paths for name, paths in lost.items() if paths}


def _stored(remote: Remote, md5s: set[str]) -> set[str]:
    """Return which of these the remote has; of a folder, its list counts, as for DVC."""
    if remote.on_s3:
        return md5s & set(stored_sizes(remote))
    return {md5 for md5 in md5s if (Path(remote.url) / OBJECTS / md5[:2] / md5[2:]).is_file()}


def _transfer(root: Path, command: str, md5s: set[str]) -> int:
    """Push or fetch these outputs from a folder in which DVC finds them recorded, over the cache and the remotes of `root`."""
    if not md5s:
        return 0
    (root / LOCAL).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="named-", dir=root / LOCAL) as name:
        folder = Path(name)
        write_text(folder / DVC_CONFIG, "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n")
        dvc_config.share(root, folder)
        outs = [{"md5": md5, "hash": "md5", "path": str(number)} for number, md5 in enumerate(sorted(md5s))]
        write_text(folder / "all.dvc", to_json({"outs": outs}))
        return transfer.transfer(folder, command)
