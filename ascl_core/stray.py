"""Files that desktops, editors and tools leave beside those that people write; they are never code, rules or data."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePath

PATTERNS = ("*~", "#*#", "*.orig", "*.rej", "*.bak", "*.swp", "*.swo", "*.tmp", "*.pyc", "Thumbs.db", "desktop.ini", "__pycache__", "4913")
"""Names of such files and folders, beside hidden ones; `.gitignore` and `.dvcignore` have the same."""


def is_stray(path: str | PurePath) -> bool:
    """Return whether a relative path is hidden, a back-up or a temporary file, or lies in a folder that is.

    >>> [is_stray(name) for name in (".DS_Store", "train.py~", ".ipynb_checkpoints/CYB.yaml", "CYB.yaml.orig", "CYB.yaml")]
    [True, True, True, True, False]
    """
    return any(part.startswith(".") or any(fnmatchcase(part, pattern) for pattern in PATTERNS) for part in PurePath(path).parts)
