"""A run that may be released: every digest agrees, from the run's commit over the gate and the evaluation to the bytes of the weights.

Two chains are followed, and each must close by itself: the MD5s in the commit's `dvc.lock`, and the SHA-256s in `data/run.json`, in
the records of the stages, and in what they wrote. The bytes are read anew, from the cache or the remote, in a worktree of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, read_json
from ascl_core.errors import ReleaseError
from ascl_core.released import RELEASE_CORPORA
from tasks.evidence.acceptance import check_acceptances
from tasks.evidence.record import load_record
from tasks.evidence.trust import read_trust
from tasks.registry.stages import (
    CANDIDATE,
    CHANGE,
    CHECKPOINT,
    CORPUS,
    EVALUATE,
    GATE,
    INDEX_RULES,
    RELEASED,
    REPORT,
    RULES,
    Stage,
    upstream_stages,
)
from tasks.releases.weights import check_weights
from tasks.repository import cache, dvc_lock, outputs
from tasks.repository.worktrees import temporary_worktree
from tasks.runs.runs import read_run

EVALUATION = EVALUATE[CANDIDATE.name]
DECISION = GATE.outputs["decision"].path
_CHAIN: tuple[Stage, ...] = (*upstream_stages(CANDIDATE, INDEX_RULES, EVALUATION, GATE), REPORT)
"""Every stage that reaches the checkpoint, its evaluation and its gate, and the report, whose cards are released."""


@dataclass(frozen=True)
class Judged:
    """What an approval is about, and all that it is bound to."""

    run: str
    commit: str
    checkpoint: str
    """SHA-256 of the checkpoint's folder."""
    decision: str
    """SHA-256 of the gate's decision."""
    failed: tuple[str, ...]
    """The criteria of the gate that do not hold, by name."""

    @property
    def passed(self) -> bool:
        """Whether the gate said yes."""
        return not self.failed


@dataclass(frozen=True)
class Candidate:
    """A run whose digests agree."""

    judged: Judged
    decision: Mapping[str, Any]
    """The gate's decision: the criteria with value and reason, and the release that it compared with."""
    headline: Mapping[str, Any]
    """The figures of its evaluation, with their intervals."""
    rules: str
    """The digest of the corpus that it is evaluated with, and will be served with."""
    change_class: str | None
    """What the change of the rules is, seen from what was released when the run began; None where nothing was."""

    @property
    def replaces(self) -> str | None:
        """The tag of the release that the gate compared with."""
        return (self.decision["released"] or {}).get("tag")


def candidate(root: Path, run_id: str) -> Candidate:
    """The candidate of an ended run; `ReleaseError` names the first two digests that do not agree."""
    with examined(root, run_id) as (found, _):
        return found


@contextmanager
def examined(root: Path, run_id: str) -> Iterator[tuple[Candidate, Path]]:
    """The candidate, and a folder with the files of the run's commit and the outputs that were looked at, which is removed after."""
    summary = read_run(root, run_id)
    with temporary_worktree(root, str(summary["commit"])) as worktree:
        outputs.check_out(worktree, list(_CHAIN))
        found = examine(worktree, run_id, summary)
        _check_accepted(root, worktree)
        yield found, worktree


def same(what: str, found: object, other: str, wanted: object) -> None:
    """`ReleaseError` with both digests unless they are the same."""
    if found != wanted:
        problem = f"{what} is {found}, but {other} says {wanted}"
        raise ReleaseError(problem, hint="release only what was evaluated: run it again, and let nobody edit what it leaves")


def examine(worktree: Path, run_id: str, summary: Mapping[str, Any]) -> Candidate:
    """The candidate in a folder with the files of the run's commit and its outputs; `ReleaseError` where two digests differ."""
    try:
        same("the run in the commit", summary["id"], f"the branch runs/{run_id}", run_id)
        _check_recorded_by_dvc(worktree)
        _check_recorded_by_stages(worktree)
        return _candidate(worktree, run_id, summary)
    except (KeyError, TypeError, AttributeError) as error:
        hint = f"see git show runs/{run_id}:data/run.json, and run it again"
        raise ReleaseError(f"the run does not say what it must: {error}", field="run", value=run_id, hint=hint) from None


def _check_recorded_by_dvc(worktree: Path) -> None:
    """The bytes are what `dvc.lock` of the commit says that each stage wrote; each read what the one before it wrote, and ran this code."""
    written = {path: md5 for stage in _CHAIN for path, md5 in dvc_lock.locked(worktree, stage, "outs").items()}
    for stage in _CHAIN:
        for artifact in (*stage.outputs.values(), stage.record):
            same(f"the MD5 of {artifact.path}", cache.md5(worktree / artifact.path), "dvc.lock", written.get(artifact.path))
        for path, md5 in dvc_lock.locked(worktree, stage, "deps").items():
            if path in written:
                same(f"the MD5 of {path} that {stage.name} read", md5, "what was written", written[path])
            elif (worktree / path).exists():
                same(f"the MD5 of {path} in the commit", cache.md5(worktree / path), f"dvc.lock of {stage.name}", md5)


def _check_recorded_by_stages(worktree: Path) -> None:
    """The bytes are what the record of each stage says that it wrote, and each record says to have read what is here."""
    here = {artifact.path: digest(worktree / artifact.path) for stage in _CHAIN for artifact in (*stage.outputs.values(), stage.record)}
    here |= {artifact.path: digest(worktree / artifact.path) for artifact in (RULES, RELEASED)}
    for stage in _CHAIN:
        record = load_record(worktree, stage)
        same(f"the stage in {stage.record.path}", record.stage, "its name", stage.name)
        for artifact in stage.outputs.values():
            same(f"SHA-256 of {artifact.path}", here[artifact.path], f"the record of {stage.name}", record.outputs.get(artifact.path))
        for path, sha256 in record.inputs.items():
            if path in here:
                same(f"SHA-256 of {path}", here[path], f"the record of {stage.name}", sha256)


def _check_accepted(root: Path, worktree: Path) -> None:
    """Where a stage's outputs were kept across a change of its code, approvers whose keys are trusted signed that."""
    for stage in _CHAIN:
        record = load_record(worktree, stage)
        if record.accepted:
            check_acceptances(record, stage, read_trust(root))


def _candidate(worktree: Path, run_id: str, summary: Mapping[str, Any]) -> Candidate:
    checkpoint, decision_sha256 = digest(worktree / CHECKPOINT), digest(worktree / DECISION)
    decision, corpus = read_json(worktree / DECISION), read_json(worktree / CORPUS.path)
    metrics = read_json(worktree / EVALUATION.outputs["metrics"].path)
    same(f"SHA-256 of {CHECKPOINT}", checkpoint, "data/run.json", summary["checkpoint"]["sha256"])
    same(f"SHA-256 of {CHECKPOINT}", checkpoint, "the evaluation", metrics["checkpoint_sha256"])
    same("the gate's decision", decision_sha256, "data/run.json", summary["gate"]["sha256"])
    same("the digest of the rules", corpus["digest"], "the evaluation", metrics["corpus_digest"])
    same("the digest of the rules", corpus["digest"], "data/run.json", summary["rules"]["digest"])
    failed = tuple(sorted(c["name"] for c in decision["criteria"] if c["passed"] is not True))
    if not decision["criteria"] or bool(decision["passed"]) is bool(failed) or summary["gate"]["passed"] is not decision["passed"]:
        raise ReleaseError("the gate's decision does not follow from its criteria", file=DECISION, hint="ascl run, and do not edit it")
    check_weights(worktree / CHECKPOINT)
    return Candidate(
        Judged(run_id, str(summary["commit"]), checkpoint, decision_sha256, failed),
        decision,
        metrics["headline"],
        corpus["digest"],
        _change_class(worktree),
    )


def _change_class(worktree: Path) -> str | None:
    """As `validate_rules` found it, seen from what was released then."""
    return str(read_json(worktree / CHANGE.path)["class"]) if (worktree / RELEASED.path / RELEASE_CORPORA).exists() else None
