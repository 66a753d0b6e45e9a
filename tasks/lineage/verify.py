"""Whether the bytes are those that were recorded: the digest of everything that an artifact comes from is computed again and compared.

First what the stages wrote (`tasks.evidence.verify`); then, for a candidate checkpoint, that its evaluation, its gate, the summary of its
run and its release are about these bytes. The first mismatch is the error.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.evidence.collected import Evidence, is_source
from tasks.evidence.contents import OnBytes
from tasks.evidence.trust import read_trust
from tasks.evidence.verify import check_equal, check_log, check_sources, check_stage
from tasks.lineage.collect import collected
from tasks.registry.stages import CHECKPOINT, CORPUS, RELEASED
from tasks.releases.candidate import DECISION, EVALUATION
from tasks.releases.model_signature import FILE, verify_model
from tasks.releases.verify import Release, verify_commit
from tasks.repository.git import show
from tasks.runs.runs import SUMMARY

_METRICS = EVALUATION.outputs["metrics"].path


@dataclass(frozen=True)
class Verified:
    """What was compared and holds."""

    path: str
    sha256: str
    snapshot: str
    stages: int
    files: int
    size: int
    """Bytes that were read."""
    sources: int
    """Files that people wrote."""
    code: int
    """Files of code."""
    edges: int
    """Inputs that another stage wrote."""
    statements: int
    signed: int
    """Of the statements, those that a trusted key signed."""
    replaced: int
    """Records that were written again, with the same outputs, after other stages had read those outputs."""
    outside: tuple[str, ...]
    """Prompt sources that could not be compared, as the commit does not have them."""
    judged: bool
    """Whether the evaluation and the gate are about these bytes."""
    release: Release | None
    seconds: float


def verify(root: Path, text: str, on_bytes: OnBytes = lambda done, total: None) -> Verified:
    """Verify the artifact that a person names and all that it comes from; `DataError` or `ReleaseError` names the first mismatch."""
    started = time.monotonic()
    with collected(root, text, on_bytes) as evidence:
        outside = check_sources(evidence)
        for stage in evidence.stages:
            check_stage(evidence, stage)
        statements, signed, replaced = check_log(evidence)
        judged = evidence.is_whole and _check_judged(evidence)
        release = _check_release(evidence) if evidence.is_release else None
        return Verified(
            path=evidence.found.path,
            sha256=evidence.found.sha256,
            snapshot=evidence.snapshot.name,
            stages=len(evidence.nodes),
            files=sum(len(content.files) for content in evidence.contents.values()),
            size=sum(content.size for content in evidence.contents.values()),
            sources=sum(len(evidence.contents[path].files) for path in evidence.sources if path in evidence.contents),
            code=len(evidence.code),
            edges=sum(not is_source(path) for node in evidence.nodes for path in node.inputs),
            statements=statements,
            signed=signed,
            replaced=replaced,
            outside=outside,
            judged=judged,
            release=release,
            seconds=time.monotonic() - started,
        )


def _check_judged(evidence: Evidence) -> bool:
    """Check that the evaluation and the gate, if there are any, are about the checkpoint; return whether both exist."""
    checkpoint = evidence.contents[CHECKPOINT].sha256
    if _METRICS in evidence.contents:
        metrics, corpus = _json(evidence, _METRICS), _json(evidence, CORPUS.path)
        for field, what, by, wanted in (
            ("checkpoint_sha256", "the checkpoint that was evaluated", CHECKPOINT, checkpoint),
            ("corpus_digest", "the digest of the rules", CORPUS.path, corpus.get("digest")),
        ):
            check_equal(what, metrics.get(field), by, wanted, _METRICS, field)
    if evidence.snapshot.commit is not None:
        summary = json.loads(show(evidence.snapshot.root, evidence.snapshot.commit, SUMMARY, missing=b"{}"))
        for field, sha256 in (("checkpoint", checkpoint), ("gate", evidence.contents[DECISION].sha256 if summary else "")):
            if field in summary:
                check_equal(f"the {field}", (summary[field] or {}).get("sha256"), "its artifact", sha256, str(SUMMARY), f"{field}.sha256")
    return _METRICS in evidence.contents and DECISION in evidence.contents


def _check_release(evidence: Evidence) -> Release:
    """Check that these bytes are what was signed and approved."""
    root, commit = evidence.snapshot.root, str(evidence.snapshot.commit)
    release = verify_commit(root, commit, read_trust(root))
    judged = release.record.judged
    if evidence.is_whole:
        check_equal("the checkpoint", judged.checkpoint, CHECKPOINT, evidence.contents[CHECKPOINT].sha256, release.tag)
        check_equal("the gate's decision", judged.decision, DECISION, evidence.contents[DECISION].sha256, release.tag)
        if signature := show(root, commit, Path(RELEASED.path) / FILE, missing=b""):
            verify_model(root, {name: file for name, file in evidence.snapshot.files(CHECKPOINT).items() if file}, signature)
    return release


def _json(evidence: Evidence, path: str) -> dict[str, Any]:
    file = evidence.snapshot.files(path)[""]
    values = json.loads(file.read_bytes()) if file else {}
    return values if isinstance(values, dict) else {}
