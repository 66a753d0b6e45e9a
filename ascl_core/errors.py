"""The error tree: everything a user can fix is an `AsclError`.

    AsclError
    ├── ConfigError        a parameter file, an option, or a value in one
    ├── RuleError          the rule corpus does not validate
    ├── DataError          a data file is missing, corrupt, empty or of the wrong shape
    │   └── DataQualityError   the data can be read, but an expectation about it failed
    ├── ModelError         a model path or checkpoint cannot be loaded
    ├── JudgeError         a judge could not be reached or understood
    │   └── JudgeTimeout       it was reached, but never answered in time
    ├── TrainingError      training cannot go on (diverged, flags not seen)
    ├── WorkspaceError     git, DVC, disk or permissions
    ├── ReleaseError       a digest, a signature or an approval is not valid: nothing is released
    └── StageError         a stage ended without its outputs, its inputs changed while it ran, or a check upstream has not passed
        └── StageCrashed       its process was killed, or the machine failed; a retry may succeed

Bad *content* (a refusal that cannot be judged, a malformed rollout) is data and never raises; bad
*plumbing* raises one of these, with the file, the field, the value and a hint.
"""

from __future__ import annotations

import difflib
import json
import os
import reprlib
import sys
from collections.abc import Collection
from pathlib import Path

from ascl_core.urls import redacted

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 6, 120, 120
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = 12


class AsclError(Exception):
    """One clear message: what is wrong, where, which value, and how to fix it.

    Args:
        problem: What is wrong, in one sentence.
        file: The file it is in, if any.
        field: The field or line in that file, if any.
        value: The offending value; never a secret.
        hint: What the user should do.

    Credentials in URLs are masked in all of them.
    """

    exit_status = 1

    def __init__(
        self,
        problem: str,
        *,
        file: object | None = None,
        field: str | None = None,
        value: object | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(redacted(problem))
        self.problem = redacted(problem)
        self.file = None if file is None else redacted(str(file))
        self.field = field
        self.value = redacted(value) if isinstance(value, str) else value
        self.hint = None if hint is None else redacted(hint)

    def __str__(self) -> str:
        return f"{self.finding}\n  hint: {self.hint}" if self.hint else self.finding

    @property
    def finding(self) -> str:
        """Where it is, what is wrong, and the value, without the hint."""
        text = ": ".join(part for part in (self.file, self.field, self.problem) if part)
        return text if self.value is None else f"{text} (got {redacted(shortened(self.value))!r})"


class ConfigError(AsclError):
    """A parameter file, an option, or a value in one is wrong."""


class RuleError(AsclError):
    """The rule corpus does not validate."""


class DataError(AsclError):
    """A data file is missing, corrupt, empty or of the wrong shape."""


class DataQualityError(DataError):
    """The data can be read, but an expectation about it failed."""


class ModelError(AsclError):
    """A model path or checkpoint cannot be loaded."""


class JudgeError(AsclError):
    """A judge could not be reached or its answer could not be understood."""


class JudgeTimeout(JudgeError):
    """A judge was reached, but never answered in time."""


class TrainingError(AsclError):
    """Training cannot go on."""


class WorkspaceError(AsclError):
    """Git, DVC, the disk or its permissions prevent the work."""


class ReleaseError(AsclError):
    """A digest, a signature or an approval is not valid, so nothing is released."""


class StageError(AsclError):
    """A stage ended without its outputs, timed out, its inputs changed while it ran, or a check upstream has not passed."""


class StageCrashed(StageError):
    """A stage's process was killed by a signal, or its GPU failed: no rule, parameter or data would fix it."""


def shortened(value: object, most: int = 200) -> str:
    """Return a value as text of at most `most` characters, without rendering the rest of a long one.

    >>> shortened("tiny"), shortened(["tiny"])
    ('tiny', "['tiny']")
    >>> len(shortened([list(range(1000))] * 1000)) <= 200
    True
    """
    if isinstance(value, str):
        return str(value[:most])
    if isinstance(value, dict | list | tuple | set | frozenset):
        return _SHORT.repr(value)[:most]
    try:
        return str(value)[:most]
    except ValueError:  # a number of thousands of digits
        return f"a {type(value).__name__} too long to show"


def nearest(name: str, known: Collection[str], otherwise: str | None = None, *, command: str = "", cutoff: float = 0.5) -> str:
    """Return the hint for an unknown name: the nearest known one, or else `otherwise`, by default all; and the command that lists them.

    From a similarity of `cutoff`, 0 to 1, a name is near.

    >>> nearest("grop", ["grpo", "ifpo"]), nearest("x", ["grpo", "ifpo"])
    ("did you mean 'grpo'?", 'one of grpo, ifpo')
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    hint = f"did you mean {near[0]!r}?" if near else otherwise or f"one of {', '.join(known)}"
    return f"{hint} ({command} lists all)" if command else hint


def dump_error(error: AsclError, file: Path) -> int:
    """Print the error, write it as JSON for the parent process, and return the exit status.

    Several processes may write to the same file: it then holds one of their errors, complete.
    """
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    values = {"type": type(error).__name__, "problem": error.problem, "file": error.file, "field": error.field, "hint": error.hint}
    whole = file.with_name(f"{file.name}.{os.getpid()}")
    whole.write_text(json.dumps({**values, "value": None if error.value is None else redacted(shortened(error.value))}), encoding="utf-8")
    whole.replace(file)
    return error.exit_status


def load_error(file: Path) -> AsclError:
    """Return the error that another process wrote with `dump_error`."""
    values = json.loads(file.read_text(encoding="utf-8"))
    kinds = {kind.__name__: kind for kind in _tree(AsclError)}
    return kinds[values.pop("type")](values.pop("problem"), **values)


def _tree(kind: type[AsclError]) -> list[type[AsclError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]
