"""`ascl lineage verify`: the verification of whatever a person names, and for a release also of what people signed about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ascl_core.errors import DataError
from ascl_core.released import MODEL_SIGNATURE
from tasks.evidence.collected import Evidence, collected, fetch_missing
from tasks.evidence.contents import OnBytes
from tasks.evidence.snapshot import Snapshot
from tasks.evidence.trust import read_trust
from tasks.evidence.verify import Verified, check_equal
from tasks.evidence.verify import verify as verify_evidence
from tasks.lineage.find import find, snapshot_named
from tasks.registry.stages import CHECKPOINT, DECISION, STAGES
from tasks.releases import history
from tasks.releases.content import RECORD
from tasks.releases.model_signature import verify_model
from tasks.releases.verify import Release, verify_commit
from tasks.repository.git import git, show
from tasks.repository.released import released_commit


@dataclass(frozen=True)
class VerifiedArtifact(Verified):
    """What was compared and holds, and the release that it is in, if it is in one."""

    release: Release | None


def verify(root: Path, text: str, on_bytes: OnBytes = lambda done, total: None) -> VerifiedArtifact:
    """Verify the artifact that a person names and all that it comes from; `DataError` or `ReleaseError` names the first mismatch."""
    if (named := snapshot_named(root, text)) is not None:
        fetch_missing(named, [stage.record.path for stage in STAGES])
    found = find(root, text)
    is_release = _is_release(found.snapshot)
    with collected(found, on_bytes, written_in=_run_commit(found.snapshot) if is_release else None) as evidence:
        verified = verify_evidence(evidence)
        return VerifiedArtifact(**vars(verified), release=_check_release(evidence) if is_release else None)


def _is_release(snapshot: Snapshot) -> bool:
    if snapshot.commit is None:
        return False
    tagged = git(snapshot.root, "for-each-ref", "--points-at", snapshot.commit, history.TAGS)
    return bool(tagged) or snapshot.commit in (released_commit(snapshot.root), *history.commits(snapshot.root))


def _run_commit(snapshot: Snapshot) -> str:
    """Return the commit of the run that a release is of."""
    file = Path(snapshot.release_folder) / RECORD
    try:
        return str(json.loads(show(snapshot.root, str(snapshot.commit), file))["commit"])
    except (ValueError, KeyError, TypeError):
        raise DataError("is not the record of a release", file=file, field=snapshot.name, hint="fetch it again") from None


def _check_release(evidence: Evidence) -> Release:
    """Check that these bytes are what was signed and approved."""
    root, commit = evidence.snapshot.root, str(evidence.snapshot.commit)
    release = verify_commit(root, commit, read_trust(root))
    judged = release.record.judged
    if evidence.is_whole:
        check_equal("the checkpoint", judged.checkpoint, CHECKPOINT, evidence.contents[CHECKPOINT].sha256, release.tag)
        check_equal("the gate's decision", judged.decision, DECISION, evidence.contents[DECISION].sha256, release.tag)
        if signature := show(root, commit, release.folder / MODEL_SIGNATURE, missing=b""):
            verify_model(root, {name: file for name, file in evidence.snapshot.files(CHECKPOINT).items() if file}, signature)
    return release
