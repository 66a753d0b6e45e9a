"""The log: every record of a working tree or of a run as a statement, in a file that only grows, each line chained to the one before.

In the commit of a release it ends with what people signed: approvals, the release, a rollback.

    {"envelope": {"payload": …, "payloadType": "application/vnd.in-toto+json", "signatures": […]}, "previous": …, "seq": 0}

`seq` counts from 0; `previous` is the SHA-256 of the line before without its line end, null in the first one. Keys are sorted.
Removing, editing or reordering a line breaks the chain at the next one.

    .ascl/lineage/log.jsonl     in a working tree and in the worktree of a run
    data/lineage.jsonl          in the commit of a run, and so in that of its release

Statements are signed if `ASCL_TRAINER_KEY` names the trainer's key; else the list of signatures is empty.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import refuse_conflict, sha256_bytes, sha256_file, to_json, write_json
from ascl_core.errors import AsclError, DataError
from tasks.evidence.attestations import record_of, statement_of
from tasks.evidence.record import Record, read_record
from tasks.evidence.statements import Envelope, Statement, enclose, read_statement, sign
from tasks.evidence.trust import PrivateKey, Role, read_key
from tasks.registry.paths import LOG
from tasks.registry.stages import STAGES, Stage
from tasks.repository.locking import exclusive, lock_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One line."""

    seq: int
    envelope: Envelope
    statement: Statement


def write_record(root: Path, stage: Stage, record: Record) -> None:
    """Write the record of a stage, and append its statement to the log."""
    write_json(root / stage.record.path, record.dump())
    append_missing(root)


def append_missing(root: Path) -> int:
    """Append a statement for every record in `root` that the log lacks, in the order of the stages; return how many.

    A line that a killed process has cut off is dropped. Damage to the log or the key never stops the caller: it is a warning here, and
    `ascl lineage verify` finds it.
    """
    try:
        with exclusive(lock_file(root, "lineage")):
            return _append(root)
    except (AsclError, OSError) as error:
        _log.warning("cannot append to the log of lineage: %s", error)
        return 0


def entries(content: bytes, *, file: Path) -> Iterator[Entry]:
    """Yield the lines of a log; `DataError` names the first that is not chained to the one before."""
    previous: str | None = None
    hint = "restore the log: from a copy, or for a run from its commit"
    refuse_conflict(content.decode(errors="replace"), file, DataError)
    for seq, whole in enumerate(content.splitlines(keepends=True)):
        line, where = whole.removesuffix(b"\n"), f"line {seq + 1}"
        try:
            values = json.loads(line)
            statement = read_statement(values["envelope"])
            canonical = _line(seq, values["previous"], values["envelope"]) == whole
        except (ValueError, KeyError, TypeError, RecursionError, AsclError):
            raise DataError("is not a statement in the form of this project", file=file, field=where, hint=hint) from None
        if values["previous"] != previous:
            problem = f"follows a line of SHA-256 {values['previous']}, but that of the line before is {previous}"
            raise DataError(problem, file=file, field=where, hint=hint)
        if not canonical:
            raise DataError(
                f"was changed: it is not what line {seq} of this log must be", file=file, field=where, value=values.get("seq"), hint=hint
            )
        previous = sha256_bytes(line)
        yield Entry(seq, values["envelope"], statement)


def extended(content: bytes, envelopes: Iterable[Envelope]) -> bytes:
    """Return the log with one more line for each envelope."""
    lines = content.splitlines()
    previous = sha256_bytes(lines[-1]) if lines else None
    for seq, envelope in enumerate(envelopes, start=len(lines)):
        line = _line(seq, previous, envelope)
        previous, content = sha256_bytes(line.removesuffix(b"\n")), content + line
    return content


def _append(root: Path) -> int:
    file = root / LOG
    content = _whole_lines(file)
    known = {_record_in(line) for line in content.splitlines()}
    records = [(record, sha256) for stage in STAGES for record, sha256 in _read(root / stage.record.path) if sha256 not in known]
    if not records:
        return 0
    key = _key()
    statements = [statement_of(record, sha256) for record, sha256 in records]
    new = extended(content, [sign(statement, key) if key else enclose(statement) for statement in statements])[len(content) :]
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "ab") as opened:
        opened.write(new)
        opened.flush()
        os.fsync(opened.fileno())
    return len(records)


def _read(file: Path) -> Iterator[tuple[Record, str]]:
    """Yield the record in a file, with its SHA-256, unless it is missing or torn."""
    if (record := read_record(file)) is not None:
        yield record, sha256_file(file)


def _whole_lines(file: Path) -> bytes:
    """Return the content of the log; what follows its last line end is cut off."""
    content = file.read_bytes() if file.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(file, len(whole))
    return whole


def _record_in(line: bytes) -> str:
    try:
        return record_of(read_statement(json.loads(line)["envelope"]))
    except (ValueError, KeyError, TypeError, RecursionError, AsclError):
        _log.warning("a line of the log of lineage is damaged: ascl lineage verify .")
        return ""


def _line(seq: int, previous: str | None, envelope: Envelope) -> bytes:
    return to_json({"seq": seq, "previous": previous, "envelope": envelope}, indent=None).encode()


def _key() -> PrivateKey | None:
    if not os.environ.get(Role.TRAINER.variable):
        return None
    try:
        return read_key(Role.TRAINER)
    except AsclError as error:
        _log.warning("the log is not signed: %s", error)
        return None
