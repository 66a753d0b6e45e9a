"""Whether the bytes are those that were recorded: everything that an artifact comes from is reckoned anew and compared.

First what the stages left behind (`tasks.evidence.verify`); then, for a checkpoint that is a candidate, that the evaluation and the gate
are about these very bytes, the run's summary, and the release. The first thing that does not match is the error.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.evidence.collected import Evidence, is_people_s
from tasks.evidence.contents import OnBytes
from tasks.evidence.trust import read_trust
from tasks.evidence.verify import check_log, check_sources, check_stage, code_files, same, written
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
    """What was looked at, all of which holds."""

    path: str
    sha256: str
    place: str
    stages: int
    files: int
    size: int
    """Bytes that were read."""
    sources: int
    """Files that people wrote."""
    code: int
    """Files of code."""
    edges: int
    """Inputs that are what another stage wrote."""
    statements: int
    signed: int
    """Of the statements, those that a trusted key signed."""
    made_again: int
    """Records that others build on and that were made again since, with the same outputs."""
    outside: tuple[str, ...]
    """Prompt sources that are not in the commit, so that nobody can look at them there."""
    judged: bool
    """Whether the evaluation and the gate are about these very bytes."""
    release: Release | None
    seconds: float


def verify(root: Path, text: str, on_bytes: OnBytes = lambda done, total: None) -> Verified:
    """Reckon everything anew that what a person names comes from; `DataError` or `ReleaseError` names the first thing that is not right."""
    started = time.monotonic()
    with collected(root, text, on_bytes) as evidence:
        outside = check_sources(evidence)
        for stage in evidence.stages:
            check_stage(evidence, stage)
        logged, signed, made_again = check_log(evidence)
        judged = evidence.is_whole and _check_judged(evidence)
        release = _check_release(evidence) if evidence.is_release else None
        return Verified(
            path=evidence.found.path,
            sha256=evidence.found.sha256,
            place=evidence.place.name,
            stages=len(evidence.nodes),
            files=sum(len(content.files) for content in evidence.contents.values()),
            size=sum(content.size for content in evidence.contents.values()),
            sources=sum(len(evidence.contents[path].files) for path in written(evidence) if path in evidence.contents),
            code=len(code_files(evidence)),
            edges=sum(not is_people_s(path) for node in evidence.nodes for path in node.inputs),
            statements=logged,
            signed=signed,
            made_again=made_again,
            outside=outside,
            judged=judged,
            release=release,
            seconds=time.monotonic() - started,
        )


def _check_judged(evidence: Evidence) -> bool:
    """The evaluation and the gate, where there are any, are about the bytes of the checkpoint."""
    checkpoint = evidence.contents[CHECKPOINT].sha256
    if _METRICS in evidence.contents:
        metrics, corpus = _json(evidence, _METRICS), _json(evidence, CORPUS.path)
        same("the checkpoint that was evaluated", metrics.get("checkpoint_sha256"), CHECKPOINT, checkpoint, _METRICS, "checkpoint_sha256")
        same("the digest of the rules", metrics.get("corpus_digest"), CORPUS.path, corpus.get("digest"), _METRICS, "corpus_digest")
    if evidence.place.commit is not None:
        said = json.loads(show(evidence.place.root, evidence.place.commit, SUMMARY, missing=b"{}"))
        for field, sha256 in (("checkpoint", checkpoint), ("gate", evidence.contents[DECISION].sha256 if said else "")):
            if field in said:
                same(f"the {field}", (said[field] or {}).get("sha256"), "its artifact", sha256, str(SUMMARY), f"{field}.sha256")
    return _METRICS in evidence.contents and DECISION in evidence.contents


def _check_release(evidence: Evidence) -> Release:
    """What was signed and approved is these bytes."""
    root, commit = evidence.place.root, str(evidence.place.commit)
    release = verify_commit(root, commit, read_trust(root))
    judged = release.record.judged
    if evidence.is_whole:
        same("the checkpoint", judged.checkpoint, CHECKPOINT, evidence.contents[CHECKPOINT].sha256, release.tag)
        same("the gate's decision", judged.decision, DECISION, evidence.contents[DECISION].sha256, release.tag)
        if signature := show(root, commit, Path(RELEASED.path) / FILE, missing=b""):
            verify_model(root, {name: file for name, file in evidence.place.files(CHECKPOINT).items() if file}, signature)
    return release


def _json(evidence: Evidence, path: str) -> dict[str, Any]:
    file = evidence.place.files(path)[""]
    values = json.loads(file.read_bytes()) if file else {}
    return values if isinstance(values, dict) else {}
