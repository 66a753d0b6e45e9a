"""The log: every record of a working tree or of a run as a statement, in a file that only grows, each line bound to the one before.

What people sign of a release (approvals, the release, a rollback) follows in the log of its commit.

    {"envelope": {"payload": …, "payloadType": "application/vnd.in-toto+json", "signatures": […]}, "previous": …, "seq": 0}

`seq` counts from 0; `previous` is the SHA-256 of the bytes of the line before without its line end, null in the first one. Keys are
sorted. Who takes out, edits or reorders a line breaks the chain at the next one.

    .ascl/lineage/log.jsonl     in a working tree and in the worktree of a run
    data/lineage.jsonl          in the commit of a run, and so in that of its release

Statements are signed where `ASCL_TRAINER_KEY` names the trainer's key; else the list of signatures is empty.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import sha256_bytes, to_json
from ascl_core.errors import AsclError, DataError
from tasks.evidence.attestations import record_of, statement_of
from tasks.evidence.record import parse_record
from tasks.evidence.statements import Envelope, Statement, enclose, read_statement, sign
from tasks.evidence.trust import PrivateKey, Role, read_key
from tasks.registry.stages import STAGES
from tasks.repository.locking import alone

_log = logging.getLogger(__name__)
LOG = Path(".ascl") / "lineage" / "log.jsonl"
COMMITTED = Path("data") / "lineage.jsonl"


@dataclass(frozen=True)
class Entry:
    """One line."""

    seq: int
    envelope: Envelope
    statement: Statement


def bring_up_to_date(root: Path) -> int:
    """Append a statement for every record in `root` that the log does not have, in the order of the stages; how many those were.

    A line that a killed process has cut off is dropped. Nothing that is wrong with the log or the key stops who calls: it is
    logged as a warning, and `ascl lineage verify` finds it.
    """
    try:
        with alone(root / ".ascl" / "locks" / "lineage.lock"):
            return _append(root)
    except (AsclError, OSError) as error:
        _log.warning("the log of lineage is not brought up to date: %s", error)
        return 0


def entries(content: bytes, *, file: Path) -> Iterator[Entry]:
    """The lines of a log, each of which is bound to the one before; `DataError` names the first that is not."""
    previous: str | None = None
    lines = content.splitlines(keepends=True)
    for seq, whole in enumerate(lines):
        line = whole.removesuffix(b"\n")
        where = f"line {seq + 1}"
        hint = "restore the log: from a copy, or for a run from its commit"
        try:
            values = json.loads(line)
            statement = read_statement(values["envelope"])
            canonical = _line(seq, values["previous"], values["envelope"]) == whole
        except (ValueError, KeyError, TypeError, RecursionError, AsclError):
            raise DataError("is no statement as this project writes it", file=file, field=where, hint=hint) from None
        if values["previous"] != previous:
            problem = f"follows a line of SHA-256 {values['previous']}, but that of the line before is {previous}"
            raise DataError(problem, file=file, field=where, hint=hint)
        if not canonical:
            raise DataError(f"is not the line number {seq} as it was written", file=file, field=where, value=values.get("seq"), hint=hint)
        previous = sha256_bytes(line)
        yield Entry(seq, values["envelope"], statement)


def extended(content: bytes, envelopes: Iterable[Envelope]) -> bytes:
    """A log with a line more for each envelope."""
    lines = content.splitlines()
    previous = sha256_bytes(lines[-1]) if lines else None
    for seq, envelope in enumerate(envelopes, start=len(lines)):
        line = _line(seq, previous, envelope)
        previous, content = sha256_bytes(line.removesuffix(b"\n")), content + line
    return content


def _append(root: Path) -> int:
    file = root / LOG
    lines = _whole_lines(file)
    known = {sha256 for line in lines if (sha256 := _record_in(line))}
    new = [(record, sha256) for record, sha256 in _records(root) if sha256 not in known]
    if not new:
        return 0
    key = _key()
    statements = [statement_of(record, sha256) for record, sha256 in new]
    content = b"".join(line + b"\n" for line in lines)
    text = extended(content, [sign(statement, key) if key else enclose(statement) for statement in statements])[len(content) :]
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "ab") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    return len(new)


def _records(root: Path) -> Iterator[tuple[dict[str, object], str]]:
    for stage in STAGES:
        file = root / stage.record.path
        content = file.read_bytes() if file.is_file() else b""
        record = parse_record(content)
        if record is not None:
            yield record, sha256_bytes(content)


def _whole_lines(file: Path) -> list[bytes]:
    """The lines without their ends; what follows the last end is cut off."""
    content = file.read_bytes() if file.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(file, len(whole))
    return whole.split(b"\n")[:-1]


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
        _log.warning("what is logged is not signed: %s", error)
        return None
