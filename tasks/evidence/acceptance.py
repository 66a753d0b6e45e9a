"""Acceptances: statements with which a person vouches that a change of a stage's code changes none of its outputs.

They lie in the stage's record, under `accepted`, in the order in which they were signed. Each says from which digest of the work to which
it goes, and the record has the last one's; so whoever reads the record sees that its outputs were made with other code.
"""

from __future__ import annotations

from ascl_core.errors import DataError
from tasks.evidence.record import Code, Record, code_of
from tasks.evidence.statements import ACCEPTANCE, Statement, now, read_statement, sign, verify
from tasks.evidence.trust import PrivateKey, Role, Trust
from tasks.registry.dependencies import Dependencies
from tasks.registry.stages import Stage

FIELD = "accepted"


def accepted(record: Record, stage: Stage, dependencies: Dependencies, approver: str, reason: str, key: PrivateKey) -> Record:
    """Return the record for the current code, with a signed acceptance more."""
    code = code_of(dependencies)
    before, after = {"digest": record.digest, "code": record.dump()["code"]}, {"digest": dependencies.digest, "code": code}
    (name, sha256), *others = record.outputs.items()
    predicate = {"stage": stage.name, "before": before, "after": after, "approver": approver, "reason": reason, "time": now()}
    envelope = sign(Statement(ACCEPTANCE, name, sha256, predicate, dict(others)), key)
    return record.model_copy(update={"digest": dependencies.digest, "code": Code(**code), FIELD: [*record.accepted, envelope]})


def acceptances(record: Record) -> list[str]:
    """Return a line for each acceptance of a record: who vouches for which change, when and why. No signature is checked."""
    said = [read_statement(envelope).predicate for envelope in record.accepted]
    return [
        f"{one['approver']} accepted other code at {one['time'][:16].replace('T', ' ')} "
        f"({one['before']['code']['digest'][:12]} → {one['after']['code']['digest'][:12]}): {one['reason']}"
        for one in said
    ]


def check_acceptances(record: Record, stage: Stage, trust: Trust) -> None:
    """Check that approvers signed every acceptance for these outputs, and that they lead to the record's digest; raise if not."""
    digest = None
    for envelope in record.accepted:
        statement = verify(envelope, trust, ACCEPTANCE, Role.APPROVER).statement
        hint = f"run it again: ascl run --force {stage.name}"
        try:
            accepted, before, after = (statement.predicate[key] for key in ("stage", "before", "after"))
            follows, digest = digest in (None, before["digest"]), after["digest"]
        except (KeyError, TypeError) as error:
            raise DataError(f"has an acceptance that lacks {error}", file=stage.record.path, field=FIELD, hint=hint) from None
        if accepted != stage.name or statement.subjects != record.outputs or not follows:
            raise DataError("has an acceptance of other outputs", file=stage.record.path, field=FIELD, hint=hint)
    if digest not in (None, record.digest):
        hint = f"accept it again, or run it: ascl run --force {stage.name}"
        raise DataError("has other code than what was accepted", file=stage.record.path, field=FIELD, value=record.digest, hint=hint)
