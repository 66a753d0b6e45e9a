"""Approvals: what a person signs about one checkpoint of one run, and whether the signatures suffice to release it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, SerializerFunctionWrapHandler, model_serializer

from ascl_core.config.base import Config, parse
from ascl_core.errors import ReleaseError
from ascl_core.text import counted
from tasks.evidence.statements import APPROVAL, Envelope, Signed, Statement, now, sign, time_of, verify
from tasks.evidence.trust import NAME, PrivateKey, Role, Trust, read_trust
from tasks.registry.paths import TRUSTED_KEYS
from tasks.registry.stages import CHECKPOINT
from tasks.releases.answer_causes import ApprovedCauses, check_about
from tasks.releases.candidate import Candidate, Judged

MAX_AGE = timedelta(days=7)
"""How old an approval may be when the release is made."""
_AHEAD = timedelta(minutes=5)
"""How much the signer's clock may be ahead."""
_FOR_OVERRIDE = 2
_FOR_PASSED = 1


class Approval(Config):
    """One person's approval with a valid signature, as the release's record repeats it."""

    approver: str
    key: str
    reason: str
    time: AwareDatetime
    override: tuple[str, ...]
    """The criteria that failed and that the person lists; empty where the gate passed."""
    causes: ApprovedCauses | None = None
    """Why answers changed since the release before; left out of the record where the person did not sign it."""

    @model_serializer(mode="wrap")
    def _without_nothing(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name != "causes" or value}


def sign_approval(
    candidate: Candidate, approver: str, reason: str, key: PrivateKey, *, override: bool = False, causes: ApprovedCauses | None = None
) -> Envelope:
    """Sign an approval, with why answers changed if that is given.

    `ReleaseError` without a reason; `override` must be given if the gate did not pass, and only then.
    """
    judged = candidate.judged
    if not reason.strip():
        raise ReleaseError("an approval needs a reason", field="reason", hint="say why, for those who read it later: --reason '…'")
    if not re.fullmatch(NAME, approver):
        raise ReleaseError("not the name of an approver", field="approver", value=approver, hint=f"as in {TRUSTED_KEYS}, in lower case")
    if override is judged.passed:
        problem = "the gate passed: there is nothing to override" if override else f"the gate did not pass: {', '.join(judged.failed)}"
        raise ReleaseError(
            problem, field="override", hint="leave override out" if override else "a second approver and override, or train on"
        )
    predicate = {**_bound(judged), "approver": approver, "reason": reason.strip(), "time": now()}
    predicate |= {"causes": causes.model_dump(mode="json")} if causes else {}
    return sign(Statement(APPROVAL, CHECKPOINT, judged.checkpoint, predicate), key)


def verify_approvals(root: Path, candidate: Candidate, envelopes: Sequence[Envelope]) -> tuple[Approval, ...]:
    """Return the approvals if they suffice to release the candidate now; `ReleaseError` names the first problem in any of them."""
    approvals = check_approvals(read_trust(root), candidate.judged, envelopes, datetime.now(UTC))
    for approval in approvals:
        if approval.causes:
            check_about(approval.causes, candidate, file=f"{approval.approver}'s approval")
    return approvals


def check_approvals(
    trust: Trust, judged: Judged, envelopes: Sequence[Envelope], at: datetime, *, even_revoked: bool = False
) -> tuple[Approval, ...]:
    """Return the approvals if they sufficed to release, at the time `at`, what `judged` describes.

    One approver suffices where the gate passed. Where it did not, two of different names with different keys must, and each of them
    lists just the criteria that failed.
    """
    approvals = tuple(_approval(verify(e, trust, APPROVAL, Role.APPROVER, even_revoked=even_revoked), judged, at) for e in envelopes)
    people, keys = {approval.approver for approval in approvals}, {approval.key for approval in approvals}
    needed = _FOR_PASSED if judged.passed else _FOR_OVERRIDE
    if min(len(people), len(keys)) < needed:
        why = "" if judged.passed else f", as these criteria failed: {', '.join(judged.failed)}"
        who = ", ".join(sorted(people)) or "nobody"
        raise ReleaseError(f"{counted(needed, 'approver')} must sign{why}", field="approvals", value=who, hint=_how(judged))
    return approvals


def _bound(judged: Judged) -> dict[str, Any]:
    """Return what an approval is bound to besides the checkpoint: the run, the gate's decision, and the criteria that are overridden."""
    gate = {"sha256": judged.decision, "passed": judged.passed}
    override = {} if judged.passed else {"override": {"failed_criteria": list(judged.failed)}}
    return {"run": judged.run, "commit": judged.commit, "gate": gate, **override}


def _approval(signed: Signed, judged: Judged, at: datetime) -> Approval:
    said, name = signed.statement.predicate, signed.key.name
    if said.get("approver") != name:
        raise ReleaseError(
            f"the approval is by {said.get('approver')}, but the key is {name}'s", field="approver", hint="sign for yourself"
        )
    _check_same(name, "checkpoint", (signed.statement.name, signed.statement.sha256), (CHECKPOINT, judged.checkpoint), judged)
    wanted = _bound(judged)
    for field in ("run", "commit", "gate", "override"):
        _check_same(name, field, said.get(field), wanted.get(field), judged)
    age = at - time_of(signed.statement)
    if not -_AHEAD <= age <= MAX_AGE:
        problem = f"{name}'s approval is older than {MAX_AGE.days} days, or from the future"
        raise ReleaseError(problem, field="time", value=said["time"], hint=_how(judged))
    reason, override = str(said.get("reason", "")), tuple((said.get("override") or {}).get("failed_criteria", ()))
    causes = parse(ApprovedCauses, said["causes"], file=f"{name}'s approval", section="causes") if "causes" in said else None
    return Approval(approver=name, key=signed.key.id, reason=reason, time=time_of(signed.statement), override=override, causes=causes)


def _check_same(name: str, field: str, found: object, wanted: object, judged: Judged) -> None:
    if found != wanted:
        raise ReleaseError(f"{name}'s approval is for the {field} {found}, but this one is {wanted}", field=field, hint=_how(judged))


def _how(judged: Judged) -> str:
    return f"ascl approve {judged.run} --reason '…'{'' if judged.passed else ' --override, by two people'}"
