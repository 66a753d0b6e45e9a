"""What on disk differs from HEAD, by bytes: no setting, attribute or filter of git, no list of ignored files and no flag hides an edit."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from ascl_core.artifacts import sha256_bytes, sha256_file, sha256_json
from ascl_core.stray import is_stray
from tasks.registry.paths import COMMITTED_LOG, DVC_LOCK, RUN_SUMMARY
from tasks.registry.stages import RULES
from tasks.repository.git import EXECUTABLE, FILE, LINK, SUBMODULE, commit_of, list_paths, tree

_CODE = ("ascl_core", "flows", "tasks", RULES.path)
"""Where a file counts even if git ignores it, unless a tool left it."""
_WRITTEN = frozenset(map(str, (DVC_LOCK, RUN_SUMMARY, COMMITTED_LOG)))
"""What the pipeline itself writes into the repository: as new files they are no change."""


def changes_from_head(root: Path) -> dict[str, str | None]:
    """Return the mode and SHA-256 of each file that differs from HEAD, by path: first those in HEAD, None for a removed one, then new ones.

    What is only staged counts as it is on disk. An unreadable file counts as changed, another repository in a folder only among code.
    """
    committed = tree(root, "HEAD") if commit_of(root, "HEAD") else {}
    has_modes = _has_modes(root)
    changed = {name: _state(root / name) for name, (mode, blob) in committed.items() if not _is_same(root / name, mode, blob, has_modes)}
    listed = sorted(_listed(root) - committed.keys() - _WRITTEN)
    new = {name: _state(root / name) for name in listed if not name.endswith("/") or any(Path(name).is_relative_to(one) for one in _CODE)}
    return changed | {name: state for name, state in new.items() if state}


def _listed(root: Path) -> set[str]:
    """Return the paths in the index, those that no `.gitignore` lists, and in folders of code the ignored ones, too."""
    options = ("--others", "--exclude-per-directory=.gitignore")
    ignored = (name for name in list_paths(root, "ls-files", "-z", "--others", "--", *_CODE) if not is_stray(name))
    return {*list_paths(root, "ls-files", "-z", "--cached", *options), *ignored}


def _has_modes(root: Path) -> bool:
    """Return whether the file system keeps modes: one that does not shows git's own files as executable."""
    git = root / ".git"
    return _mode(git / "HEAD" if git.is_dir() else git) != EXECUTABLE


def _mode(path: Path) -> str | None:
    """Return git's mode of what is there; None for nothing, a folder without a repository, or a device."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    if stat.S_ISDIR(mode):
        return SUBMODULE if (path / ".git").exists() else None
    if stat.S_ISLNK(mode):
        return LINK
    return (EXECUTABLE if mode & stat.S_IXUSR else FILE) if stat.S_ISREG(mode) else None


def _is_same(path: Path, mode: str, blob: str, has_modes: bool) -> bool:
    """Return whether a path has this mode and content; a submodule that is not checked out has."""
    found = _mode(path)
    if mode == SUBMODULE:
        return (found is None and path.is_dir()) or (found == mode and commit_of(path, "HEAD") == blob and not changes_from_head(path))
    is_alike = found in (FILE, EXECUTABLE) and mode in (FILE, EXECUTABLE) and not has_modes
    return (found == mode or is_alike) and _blob(path, len(blob)) == blob


def _blob(path: Path, digits: int) -> str | None:
    """Return git's name, of so many digits, for the content of a file or link; None if it cannot be read."""
    algorithm = "sha1" if digits == hashlib.sha1().digest_size * 2 else "sha256"
    try:
        if path.is_symlink():
            content = _link(path)
            return hashlib.new(algorithm, b"blob %d\0" % len(content) + content).hexdigest()
        with open(path, "rb") as file:
            header = b"blob %d\0" % os.fstat(file.fileno()).st_size
            return hashlib.file_digest(file, lambda: hashlib.new(algorithm, header)).hexdigest()
    except OSError:
        return None


def _state(path: Path) -> str | None:
    """Return the mode and SHA-256 of a file or link, and of a submodule its commit and changes; None if it is not there."""
    mode = _mode(path)
    if mode is None:
        return None
    if mode == SUBMODULE:
        return f"{mode} {commit_of(path, 'HEAD')} {sha256_json(printable(changes_from_head(path)))}"
    try:
        return f"{mode} {sha256_bytes(_link(path)) if mode == LINK else sha256_file(path)}"
    except FileNotFoundError:  # removed since it was listed
        return None
    except PermissionError:
        return f"{mode} unreadable"


def printable(changes: dict[str, str | None]) -> dict[str, str | None]:
    """Return the changes with the bytes of names that are not UTF-8 escaped."""
    return {os.fsencode(name).decode(errors="backslashreplace"): state for name, state in changes.items()}


def _link(path: Path) -> bytes:
    return os.readlink(os.fsencode(path))  # noqa: PTH115  pathlib reads `./a` as `a`
