"""Merge conflicts that git leaves in files: recognised before anything else is said about the file, with a fix that git accepts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

CONFLICT = "has a merge conflict that is not resolved"
_MARK = "<" * 7
_BEGIN, _END = (re.compile(rf"{mark}{{7}}( .*)?\s*") for mark in "<>")
_THEN = {
    "dvc.lock": "git add it, and ascl run: stages whose inputs differ run again",
    "dvc.yaml": "ascl stages write, and git add it",
    "params.yaml": "make the other side's changes by hand, and git add it",
    "rules.lock.json": "settle the rules themselves first, then ascl rules lock, and git add it",
    "lineage.jsonl": "git add it: a run has one log, and two cannot be joined",
}


def conflict_line(text: str) -> int | None:
    """Return the line of the first conflict, from 1; None if there is none.

    >>> conflict_line("a: 1\\n<<<<<<< HEAD\\nb: 1\\n=======\\nb: 2\\n>>>>>>> theirs\\n"), conflict_line("a: <<<<<<< b")
    (2, None)
    """
    return next((begin for begin, _ in conflicts(text.split("\n"))), None) if _MARK in text else None


def conflicts(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of each conflict, from 1."""
    begin = None
    for number, line in enumerate(lines, start=1):
        if begin is None and _BEGIN.fullmatch(line):
            begin = number
        elif begin is not None and _END.fullmatch(line):
            yield begin, number
            begin = None


def conflict_hint(file: object) -> str:
    """Return how to resolve a conflict in that file, with a command of git that works while the file is unmerged."""
    path = Path(str(file))
    if not path.exists():
        return "resolve it on the branch that has it, and commit"
    then = _THEN.get(path.name, "or keep the lines that you want, and git add it")
    return f"git checkout --ours {shlex.quote(str(path))}; then {then}. docs/robustness.md, Merge conflicts"
