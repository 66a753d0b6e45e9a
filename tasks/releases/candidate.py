"""A run that may be released: every digest agrees, from the run's commit through gate and evaluation to the weights' bytes.

All of it is verified as by `ascl lineage verify` (`tasks.evidence.verify`), over bytes read again from the cache or the remote, in
a separate worktree. A release also needs a decision that follows from its criteria, and weights that run no code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json
from ascl_core.errors import DataError, ReleaseError
from ascl_core.released import RELEASE_CORPORA
from tasks.evidence.collected import Evidence, collected
from tasks.evidence.graph import find_artifact
from tasks.evidence.snapshot import Snapshot
from tasks.evidence.verify import verify
from tasks.registry.paths import RUN_SUMMARY
from tasks.registry.stages import (
    CANDIDATE,
    CHANGE,
    CHECKPOINT,
    CORPUS,
    DECISION,
    EVALUATION,
    GATE,
    INDEX_RULES,
    METRICS,
    RELEASED,
    REPORT,
    STAGES,
    SUITES,
)
from tasks.releases.weights import check_weights
from tasks.repository import outputs
from tasks.repository.worktrees import temporary_worktree
from tasks.runs.runs import read_run

_NEEDED = (CANDIDATE, INDEX_RULES, EVALUATION, GATE, REPORT)
"""The stages whose outputs are released or decide whether to release; what they read is verified with them."""


@dataclass(frozen=True)
class Judged:
    """What an approval is about: one checkpoint of one run, and the gate's decision."""

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
        """Whether the gate passed."""
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
    """The class of the rules' change since the release that was current when the run began; None if there was none."""
    suites: str
    """SHA-256 of the file with the prompts of its evaluation."""

    @property
    def replaces(self) -> str | None:
        """The tag of the release that the gate compared with."""
        return (self.decision["released"] or {}).get("tag")


def candidate(root: Path, run_id: str) -> Candidate:
    """Return the candidate of a finished run; `ReleaseError` names the first two digests that do not agree."""
    with examined(root, run_id) as (found, _):
        return found


@contextmanager
def examined(root: Path, run_id: str) -> Iterator[tuple[Candidate, Path]]:
    """Yield the candidate, and a temporary worktree with the files of the run's commit and the verified outputs."""
    with evidence_of_run(root, run_id) as (evidence, worktree):
        yield examine(evidence, worktree), worktree


@contextmanager
def evidence_of_run(root: Path, run_id: str) -> Iterator[tuple[Evidence, Path]]:
    """Yield the evidence about a finished run's checkpoint, with all bytes read again, and the temporary worktree that holds them."""
    commit = str(read_run(root, run_id)["commit"])
    with temporary_worktree(root, commit) as worktree:
        snapshot = Snapshot(root, run_id, commit, worktree)
        outputs.check_out(worktree, [stage for stage in STAGES if stage.name in snapshot.stages])
        with collected(find_artifact(snapshot, CHECKPOINT)) as evidence:
            yield evidence, worktree


def examine(evidence: Evidence, worktree: Path) -> Candidate:
    """Return the candidate that this evidence describes; `ReleaseError` names the first mismatch, or what is missing."""
    run_id = evidence.snapshot.name
    try:
        verify(evidence)
    except DataError as error:
        hint = "release only what was evaluated: run it again, and do not edit its files"
        raise ReleaseError(error.problem, file=error.file, field=error.field, value=error.value, hint=hint) from None
    if absent := [stage.name for stage in _NEEDED if stage not in [node.stage for node in evidence.nodes]]:
        raise ReleaseError(f"the run has no record of {absent[0]}", field="run", value=run_id, hint="ascl run, with every stage")
    try:
        return _candidate(evidence, worktree)
    except (KeyError, TypeError, AttributeError) as error:
        hint = f"see git show runs/{run_id}:{RUN_SUMMARY}, and run it again"
        raise ReleaseError(
            f"a file of the run lacks a value, or has one of the wrong type: {error}", field="run", value=run_id, hint=hint
        ) from None


def _candidate(evidence: Evidence, worktree: Path) -> Candidate:
    run_id, summary, decision = evidence.snapshot.name, evidence.summary, evidence.json(DECISION)
    said, gate, *_ = (summary[part] for part in ("id", "gate", "checkpoint", "rules"))
    if said != run_id:
        raise ReleaseError(f"is not the run of the branch runs/{run_id}", file=RUN_SUMMARY, field="id", value=said, hint="run it again")
    failed = tuple(sorted(c["name"] for c in decision["criteria"] if c["passed"] is not True))
    if not decision["criteria"] or bool(decision["passed"]) is bool(failed) or gate["passed"] is not decision["passed"]:
        raise ReleaseError("the gate's decision does not follow from its criteria", file=DECISION, hint="ascl run, and do not edit it")
    check_weights(worktree / CHECKPOINT)
    sha256 = {path: evidence.contents[path].sha256 for path in (CHECKPOINT, DECISION, SUITES.path)}
    return Candidate(
        Judged(run_id, str(evidence.snapshot.commit), sha256[CHECKPOINT], sha256[DECISION], failed),
        decision,
        evidence.json(METRICS)["headline"],
        evidence.json(CORPUS.path)["digest"],
        _change_class(worktree),
        sha256[SUITES.path],
    )


def _change_class(worktree: Path) -> str | None:
    """Return the class of the rules' change that `validate_rules` found; None if nothing was released then."""
    return str(read_json(worktree / CHANGE.path)["class"]) if (worktree / RELEASED.path / RELEASE_CORPORA).exists() else None
