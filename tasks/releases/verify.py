"""Verify a release: who signed it, who approved it, and that its commit holds what they signed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, sha256_bytes
from ascl_core.config.base import parse
from ascl_core.errors import AsclError, ReleaseError
from tasks.evidence.attestations import record_of
from tasks.evidence.log import entries, extended
from tasks.evidence.statements import RELEASE, ROLLBACK, Envelope, verify
from tasks.evidence.trust import PublicKey, Role, Trust, read_trust
from tasks.registry.paths import COMMITTED_LOG
from tasks.releases import history
from tasks.releases.approvals import Approval, check_approvals
from tasks.releases.content import (
    APPROVALS,
    RECORD,
    ROLLBACK_FILE,
    STATEMENT,
    Record,
    logged,
    people_in_both_roles,
    release_statement,
    signed_names,
)
from tasks.repository.git import git, show
from tasks.repository.released import release_folder, released_commit

_HINT = "fetch the branch releases from origin again"


@dataclass(frozen=True)
class Rollback:
    """Who rolled back, and why."""

    approver: str
    left: str
    """The tag that was released before."""
    reason: str
    time: str


@dataclass(frozen=True)
class Release:
    """A release whose signatures and digests hold."""

    record: Record
    commit: str
    folder: Path
    """Where the commit holds it."""
    trainer: str
    """Whose key signed the record."""
    approvals: tuple[Approval, ...]
    rollback: Rollback | None
    """Set if this release was released again, after a newer one."""

    @property
    def tag(self) -> str:
        """Its name, `release/N`."""
        return self.record.tag


def verify_release(root: Path, tag: str | None = None, *, even_revoked: bool = False) -> Release:
    """Return the release of that tag, by default the current one; `ReleaseError` says which signature or digest does not hold.

    A signature with a key that was revoked since does not hold, unless `even_revoked`: a person must vouch for such a release again.
    """
    commit = released_commit(root) if tag is None else history.commit_of_tag(root, tag)
    if commit is None:
        raise ReleaseError("nothing is released yet", hint=history.FIRST)
    release = verify_commit(root, commit, read_trust(root), even_revoked=even_revoked)
    if tag not in (None, release.tag):
        raise ReleaseError(f"the tag points to {release.tag}", value=tag, hint="fetch the tag from origin again")
    return release


def verify_commit(root: Path, commit: str, trust: Trust, *, even_revoked: bool = False) -> Release:
    """Return the release or rollback in a commit of the branch; `ReleaseError` if a signature or digest does not hold."""
    folder = release_folder(root, commit)
    listed = git(root, "ls-tree", "-r", "--name-only", commit, "--", f"{folder}/").splitlines()
    files = {str(Path(path).relative_to(folder)): show(root, commit, Path(path)) for path in listed}
    if missing := {RECORD, STATEMENT} - set(files):
        raise ReleaseError("is missing, so this is not a signed release", file=folder / min(missing), field=commit, hint=_HINT)
    record = parse(Record, _json(files[RECORD], folder / RECORD), file=RECORD)
    trainer = _check_statement(files, folder, record, trust, even_revoked)
    _check_tree(root, commit, folder, record)
    _check_log(root, commit, record, [_json(files[name], folder / name) for name in signed_names(files)])
    envelopes = [_json(files[name], folder / name) for name in sorted(files) if name.startswith(APPROVALS)]
    approvals = check_approvals(trust, record.judged, envelopes, record.time, even_revoked=even_revoked)
    if sorted(approvals, key=str) != sorted(record.approvals, key=str):
        raise ReleaseError("the record's approvals differ from those beside it", file=RECORD, field="approvals", hint=_HINT)
    if unsaid := set(people_in_both_roles(trainer, approvals, trust)) - set(record.in_both_roles):
        problem = f"does not say that {min(unsaid)} approved it and signed it, too"
        raise ReleaseError(problem, file=folder / RECORD, field="in_both_roles", hint=_HINT)
    rollback = None
    if ROLLBACK_FILE in files:
        rollback = _rollback(root, commit, record, _json(files[ROLLBACK_FILE], folder / ROLLBACK_FILE), trust, even_revoked)
    return Release(record, commit, folder, trainer.name, approvals, rollback)


def released_over_time(root: Path) -> list[Release | tuple[str, AsclError]]:
    """Return every release and rollback, newest first; an invalid commit comes with its error."""
    commits = history.commits(root)
    trust = read_trust(root) if commits else Trust(())
    found: list[Release | tuple[str, AsclError]] = []
    for commit in commits:
        try:
            found.append(verify_commit(root, commit, trust))
        except AsclError as error:
            found.append((commit, error))
    return found


def unsigned_records(root: Path, commit: str) -> tuple[int, int]:
    """Return how many records of the log in a release's commit no key signed, and how many it has."""
    about_records = [entry for entry in entries(logged(root, commit), file=COMMITTED_LOG) if record_of(entry.statement)]
    return sum(not entry.envelope["signatures"] for entry in about_records), len(about_records)


def check_checkpoint(folder: Path, record: Record) -> None:
    """Check that the folder is the checkpoint of that release; `ReleaseError` otherwise."""
    if (found := digest(folder)) != record.checkpoint.sha256:
        problem = f"SHA-256 of {record.checkpoint.path} is {found}, but {record.tag} says {record.checkpoint.sha256}"
        raise ReleaseError(problem, file=folder, hint="fetch it again, from a remote that has the released one")


def rollback_predicate(target: Record, left: str, replaced: str) -> dict[str, Any]:
    """Return what binds a rollback to one moment: its target, where it came from, and the commit that was current until then."""
    return {"to": target.tag, "from": left, "replaced": replaced}


def _check_statement(files: dict[str, bytes], folder: Path, record: Record, trust: Trust, even_revoked: bool) -> PublicKey:
    signed = verify(_json(files[STATEMENT], folder / STATEMENT), trust, RELEASE, Role.TRAINER, even_revoked=even_revoked)
    found = {name: sha256_bytes(content) for name, content in files.items() if name not in (STATEMENT, ROLLBACK_FILE)}
    said = dict(signed.statement.predicate.get("files") or {})
    for name in sorted({*found, *said}):
        if found.get(name) != said.get(name):
            problem = f"SHA-256 is {found.get(name)}, and {signed.key.name} signed {said.get(name)}"
            raise ReleaseError(problem, file=folder / name, hint=_HINT)
    if signed.statement != release_statement(record, found):
        raise ReleaseError(f"{signed.key.name} signed another record", file=folder / RECORD, hint=_HINT)
    return signed.key


def _check_tree(root: Path, commit: str, folder: Path, record: Record) -> None:
    """Check that the commit equals the run's commit but for the release's folder and the log."""
    without = [f":(exclude){path}" for path in (folder, COMMITTED_LOG)]
    changed = git(root, "diff-tree", "-r", "--name-only", record.commit, commit, "--", ".", *without)
    if changed:
        raise ReleaseError(f"the release differs from its run {record.run}", file=changed.splitlines()[0], field=commit, hint=_HINT)


def _check_log(root: Path, commit: str, record: Record, signed: list[Envelope]) -> None:
    """Check that the log is that of the run, followed by what people signed."""
    if logged(root, commit) != extended(logged(root, record.commit), signed):
        problem = f"is not the log of the run {record.run} with the approvals and the release after it"
        raise ReleaseError(problem, file=str(COMMITTED_LOG), field=commit, hint=_HINT)


def _rollback(root: Path, commit: str, record: Record, envelope: Envelope, trust: Trust, even_revoked: bool) -> Rollback:
    signed = verify(envelope, trust, ROLLBACK, Role.APPROVER, even_revoked=even_revoked)
    said = signed.statement.predicate
    wanted = rollback_predicate(record, str(said.get("from")), git(root, "rev-parse", f"{commit}^1"))
    found = {name: said.get(name) for name in wanted}
    if found != wanted or signed.statement.sha256 != record.checkpoint.sha256 or said.get("approver") != signed.key.name:
        problem = f"{signed.key.name} signed the rollback {found}, but this one is {wanted}"
        raise ReleaseError(problem, file=ROLLBACK_FILE, hint=_HINT)
    return Rollback(signed.key.name, str(said["from"]), str(said.get("reason", "")), str(said["time"]))


def _json(content: bytes, file: Path) -> Envelope:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ReleaseError("expected a JSON object", file=file, hint=_HINT)
    return values
