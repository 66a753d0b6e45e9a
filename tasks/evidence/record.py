"""The record beside every output: who made it, from what, with which code, parameters and packages, on which machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ascl_core.artifacts import digest, sha256_tree
from ascl_core.errors import DataError
from tasks.evidence import provenance
from tasks.registry.dependencies import Dependencies
from tasks.registry.paths import REQUIREMENTS
from tasks.registry.stages import WRITTEN, Stage

Version = Literal["ascl.record/1", "ascl.record/2"]
SCHEMA: Version = "ascl.record/2"
SYNTAX = "syntax"
"""The form of a digest of code that counts what the code means."""
Digests = dict[str, str]
"""SHA-256 by path or name."""


class _Frozen(BaseModel):
    """Keeps keys that it does not know, so that reading and writing a record changes no byte."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Code(_Frozen):
    """The files of code that the stage imports."""

    digest: str
    files: int
    form: str | None = None
    """`syntax` if the digest counts what the code means; None if it counts its bytes."""


class Git(_Frozen):
    """The commit that was checked out; None in a folder without one."""

    revision: str | None
    dirty: bool
    diff: str | None
    """SHA-256 of what was not committed."""

    def label(self, digits: int = 40) -> str:
        """Return the commit, and whether something was not committed."""
        return f"{(self.revision or 'no commit')[:digits]}{' + changes' if self.dirty else ''}"


class Machine(_Frozen):
    """Where the stage ran."""

    python: str
    platform: str
    processor: str
    cores: int | None


class Record(_Frozen):
    """One finished run of a stage. The optional fields are missing in records of version 1."""

    version: Version = Field(alias="schema")
    stage: str
    function: str
    digest: str
    """SHA-256 of function, inputs, code and parameters."""
    inputs: Digests
    outputs: Digests
    files: dict[str, Digests] = {}
    """Of each output that is a folder, its files."""
    source_files: dict[str, Digests] = {}
    """Of each input that people write and that is a folder, its files."""
    parents: Digests = {}
    """The records of the stages whose outputs it reads, by stage."""
    rules: dict[str, Any] | None = None
    """The digests of the corpus and of each of its rules."""
    parameters: dict[str, Any]
    seeds: dict[str, int] | None = None
    metrics: dict[str, Any]
    code: Code
    git: Git
    packages: Digests
    """The locks in `requirements/`, by file name."""
    installed: str | None = None
    """The lock whose packages were installed."""
    machine: Machine
    gpus: list[str] | None = None
    gpu_seconds: float | None = None
    started: str
    """ISO 8601, UTC; so is `ended`."""
    ended: str
    seconds: float
    prefect_run: str | None = None
    accepted: list[dict[str, Any]] = []
    """Signed acceptances of changes of the code (see `acceptance`)."""

    @property
    def ended_at(self) -> str:
        """When it ended, for people: UTC, to the second."""
        return self.ended.replace("T", " ").removesuffix("+00:00")

    def dump(self) -> dict[str, Any]:
        """Return the record as its JSON file has it."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class UnknownVersion(DataError):
    """A record of a version that this code does not read."""


def parse_record(content: bytes, file: object, where: str = "") -> Record:
    """Return the record in the content of a file, which is `where` for people; `DataError` names the first field that is wrong."""
    try:
        values = json.loads(content)
        version = values["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"is no whole record{where}", file=file, hint=_HINT) from None
    if isinstance(version, str) and version not in get_args(Version):
        hint = "read it with the version of ascl that wrote it, or run the stage again"
        problem = f"unknown version of a record{where}, expected one of {', '.join(get_args(Version))}"
        raise UnknownVersion(problem, file=file, field="schema", value=version, hint=hint)
    try:
        return Record.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(f"is no whole record{where}: {first['msg'].lower()}", file=file, field=field, hint=_HINT) from None


def load_record(root: Path, stage: Stage) -> Record:
    """Return the record of a stage; `DataError` if it is missing or not whole."""
    try:
        return parse_record((root / stage.record.path).read_bytes(), root / stage.record.path)
    except OSError:
        raise DataError("file does not exist", file=root / stage.record.path, hint="run the stage: ascl run") from None


def read_record(file: Path) -> Record | None:
    """Return the record in a file; None if there is none, or if it is torn. `UnknownVersion` if another version of ascl wrote it."""
    try:
        return parse_record(file.read_bytes(), file)
    except UnknownVersion:
        raise
    except (DataError, OSError):
        return None


def make_record(
    root: Path,
    stage: Stage,
    dependencies: Dependencies,
    outputs: Mapping[str, str],
    metrics: Mapping[str, Any],
    started: datetime,
    *,
    files: Mapping[str, Mapping[str, str]] | None = None,
    written: Path | None = None,
) -> Record:
    """Return the record of one finished run of a stage.

    `files` are the digests of the files of outputs, by path; `written` is the folder that holds the outputs before they are published.
    """
    ended = datetime.now(UTC)
    seconds = round((ended - started).total_seconds(), 2)
    gpus = provenance.gpus_of(stage, dependencies.parameters)
    values = {
        "schema": SCHEMA,
        "stage": stage.name,
        "function": stage.function,
        "digest": dependencies.digest,
        "inputs": dependencies.data,
        "outputs": outputs,
        "files": {path: tree for path, tree in (files or {}).items() if "" not in tree},
        "source_files": {
            a.path: sha256_tree(root / a.path, source=a.path in WRITTEN)
            for a in stage.input_artifacts()
            if a.source and (root / a.path).is_dir()
        },
        "parents": provenance.parents(root, stage),
        "rules": provenance.rules(root, stage, written),
        "parameters": dependencies.parameters,
        "seeds": provenance.seeds(dependencies.parameters),
        "metrics": metrics,
        "code": code_of(dependencies),
        "git": provenance.git_state(root),
        "packages": provenance.packages(root),
        "installed": provenance.installed_lock(root / REQUIREMENTS),
        "machine": provenance.machine(),
        "gpus": gpus,
        "gpu_seconds": round(seconds * len(gpus), 2),
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "seconds": seconds,
    }
    return Record.model_validate(values)


def changed_inputs(record: Record, dependencies: Dependencies) -> list[str]:
    """Return the paths of data and the sections of parameters that differ from what the record's run read."""
    pairs = ((record.inputs, dependencies.data), (record.parameters, dependencies.parameters))
    return [one for old, new in pairs for one in sorted({*old, *new}) if old.get(one) != new.get(one)]


def is_other_code(record: Record, dependencies: Dependencies) -> bool:
    """Return whether the record's run had other code; False if the record has its digest in another form, which cannot be compared."""
    code = code_of(dependencies)
    return record.function != dependencies.function or (record.code.form == code["form"] and record.code.digest != code["digest"])


def edited_outputs(root: Path, record: Record) -> list[str]:
    """Return the paths of outputs on disk that are not those of the record; a missing one is not among them."""
    return [path for path, sha256 in record.outputs.items() if (root / path).exists() and digest(root / path) != sha256]


def code_of(dependencies: Dependencies) -> dict[str, Any]:
    """Return what a record says of the code."""
    return {"digest": dependencies.code_digest, "files": len(dependencies.code), "form": SYNTAX}


_HINT = "restore it: dvc checkout, or ascl pull"
