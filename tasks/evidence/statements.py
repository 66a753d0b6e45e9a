"""Signed statements: in-toto Statements in DSSE envelopes, the form that other supply-chain tools read, too.

Formats: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ascl_core.artifacts import to_json
from ascl_core.errors import ReleaseError
from tasks.evidence.trust import PrivateKey, PublicKey, Role, Trust
from tasks.registry.stages import FOLDERS

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope as Dsse

TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
APPROVAL, RELEASE, ROLLBACK, ACCEPTANCE = (f"urn:ascl:{name}:1" for name in ("approval", "release", "rollback", "acceptance"))
"""The kinds of statement; the number is that of the predicate's fields."""
SHA256, TREE = "sha256", "asclTree"
"""Algorithms of digests: that of a file's bytes, and that of a folder, which is the SHA-256 of the sorted JSON of its files' digests."""
_OF_ONE = (APPROVAL, RELEASE, ROLLBACK)
_MAX_CHARACTERS = 1 << 20

Envelope = dict[str, Any]
"""A DSSE envelope as JSON."""


@dataclass(frozen=True)
class Statement:
    """A claim about one artifact or several."""

    kind: str
    name: str
    """The artifact, by its path in the repository."""
    sha256: str
    predicate: Mapping[str, Any]
    others: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of its further subjects, by path."""
    tree: str = field(default=TREE, compare=False)
    """How it names the algorithm of folders: earlier statements called it `sha256`."""

    @property
    def subjects(self) -> dict[str, str]:
        """SHA-256 of all subjects, by path, in order."""
        return {self.name: self.sha256, **self.others}

    def payload(self) -> bytes:
        """Return the bytes that are signed: equal statements give equal bytes."""
        subject = [{"name": name, "digest": {_algorithm(name, self.tree): sha256}} for name, sha256 in self.subjects.items()]
        return to_json({"_type": TYPE, "subject": subject, "predicateType": self.kind, "predicate": self.predicate}, indent=None).encode()


@dataclass(frozen=True)
class Signed:
    """A verified statement and the key that signed it."""

    statement: Statement
    key: PublicKey


def sign(statement: Statement, key: PrivateKey) -> Envelope:
    """Return the statement in an envelope with one signature."""
    from securesystemslib.dsse import Envelope as Dsse

    envelope = Dsse(statement.payload(), PAYLOAD_TYPE, {})
    envelope.sign(key.signer)
    return dict(envelope.to_dict())


def enclose(statement: Statement) -> Envelope:
    """Return the statement in an envelope whose list of signatures is empty."""
    payload = base64.b64encode(statement.payload()).decode()
    return {"payload": payload, "payloadType": PAYLOAD_TYPE, "signatures": []}


def read_statement(envelope: Envelope) -> Statement:
    """Return the statement in an envelope, whoever signed it; `ReleaseError` if it is not an envelope of a statement."""
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        signed_form = envelope["payloadType"] == PAYLOAD_TYPE and isinstance(envelope["signatures"], list)
    except (KeyError, TypeError, ValueError):
        raise _no_envelope("expected payload, payloadType and signatures") from None
    statement = _parsed(payload) if signed_form else None
    if statement is None:
        raise _no_envelope("it holds no in-toto statement in the form of this project")
    return statement


def verify(envelope: Envelope, trust: Trust, kind: str, role: Role, *, even_revoked: bool = False) -> Signed:
    """Return the statement, if it is of that kind and signed by one trusted key of that role that was valid at the statement's own time.

    `ReleaseError` otherwise. Signatures of revoked keys do not count, unless `even_revoked`.
    """
    dsse = _dsse(envelope)
    key = trust.key(next(iter(dsse.signatures)))
    if key.role is not role:
        hint = f"have a person with the role {role} sign"
        raise ReleaseError(f"{key.name}'s key has the role {key.role} and cannot sign {_in_words(kind)}", value=key.id, hint=hint)
    if key.revoked and not even_revoked:
        raise ReleaseError(f"{key.name}'s key is revoked", value=key.id, hint="have it signed again with a key that is not")
    _check_signature(dsse, key)
    statement = _statement(dsse, kind)
    if not key.is_valid_at(time_of(statement)):
        raise ReleaseError(f"{key.name}'s key was not valid at the time of the statement", value=time_of(statement))
    return Signed(statement, key)


def encode(envelope: Envelope) -> str:
    """Return the envelope as one line that can be pasted into a form."""
    return base64.urlsafe_b64encode(to_json(envelope, indent=None).strip().encode()).decode()


def decode(text: str) -> Envelope:
    """Return the envelope in a text, which is JSON or the result of `encode`; `ReleaseError` if it is neither."""
    if len(text) > _MAX_CHARACTERS:
        raise _no_envelope("longer than any envelope")
    text = text.strip()
    try:
        values = json.loads(text if text.startswith("{") else base64.b64decode("".join(text.split()), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _no_envelope("neither JSON nor base64 of it") from None
    if not isinstance(values, dict):
        raise _no_envelope("expected an object")
    return values


def now() -> str:
    """Return the current time as statements have it: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def time_of(statement: Statement) -> datetime:
    """Return when a statement was signed, or its run ended, by its own account; `ReleaseError` if that is not a time with a zone."""
    values = statement.predicate
    try:
        if "runDetails" in values:
            said = values["runDetails"]["metadata"]["finishedOn"]
        else:
            said = values["time"] if "time" in values else values["configuration"][0]["annotations"]["time"]
        time = datetime.fromisoformat(said)
    except (KeyError, TypeError, ValueError, IndexError):
        time = datetime.min
    if time.tzinfo is None:
        raise ReleaseError("the statement does not say when it was made", field="time", value=statement.predicate.get("time"))
    return time


def _dsse(envelope: Envelope) -> Dsse:
    from securesystemslib.dsse import Envelope as Dsse
    from securesystemslib.exceptions import Error

    try:
        dsse = Dsse.from_dict(json.loads(json.dumps(envelope)))  # it changes what it is given
        signatures = len(dsse.signatures)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, Error) as error:
        raise _no_envelope(f"{type(error).__name__}: {error}") from None
    if signatures != 1:
        raise _no_envelope(f"expected one signature, and it has {signatures}")
    return dsse


def _check_signature(dsse: Dsse, key: PublicKey) -> None:
    from securesystemslib.exceptions import UnverifiedSignatureError

    try:
        dsse.verify([key.verifier], 1)
    except UnverifiedSignatureError:
        hint = "have it signed again: what is signed must not be edited, not even by a space"
        raise ReleaseError(f"the signature is not {key.name}'s over this text", value=key.id, hint=hint) from None


def _statement(dsse: Dsse, kind: str) -> Statement:
    statement = _parsed(dsse.payload)
    if dsse.payload_type != PAYLOAD_TYPE or statement is None or (kind in _OF_ONE and statement.others):
        raise _no_envelope("what is signed is not an in-toto statement about one artifact in the form of this project")
    if statement.kind != kind:
        raise ReleaseError(f"expected {_in_words(kind)}, and this is another statement", field="predicateType", value=statement.kind)
    return statement


def _parsed(payload: bytes) -> Statement | None:
    """Return the statement in a payload; None if it would be written in other bytes."""
    try:
        values = json.loads(payload)
        tree = TREE if any(TREE in subject["digest"] for subject in values["subject"]) else SHA256
        digests = [(subject["name"], subject["digest"][_algorithm(subject["name"], tree)]) for subject in values["subject"]]
        (name, sha256), *others = digests
        statement = Statement(values["predicateType"], name, sha256, dict(values["predicate"]), dict(others), tree)
        return statement if statement.payload() == payload else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _algorithm(name: str, tree: str) -> str:
    return tree if name in FOLDERS else SHA256


def _in_words(kind: str) -> str:
    return {APPROVAL: "an approval", RELEASE: "a release", ROLLBACK: "a rollback", ACCEPTANCE: "an acceptance"}.get(kind, kind)


def _no_envelope(why: str) -> ReleaseError:
    return ReleaseError(f"not a signed statement: {why}", hint="give the whole output of ascl approve")
