"""Create a release: of a run whose digests agree, with enough approvals, signed by the trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ascl_core.config.params import load_params
from ascl_core.errors import ReleaseError
from ascl_core.evaluation.gate import decide_from_files
from ascl_core.released import MODEL_SIGNATURE
from tasks.evidence.statements import Envelope
from tasks.evidence.trust import PrivateKey, Role, read_trust
from tasks.registry.paths import PARAMETERS, RELEASE_FOLDER
from tasks.registry.stages import CHECKPOINT, DECISION, EVALUATION
from tasks.releases import history
from tasks.releases.approvals import verify_approvals
from tasks.releases.candidate import Candidate, examined
from tasks.releases.content import log_statements, logged, people_in_both_roles, sign_content, write_content
from tasks.releases.model_signature import sign_model
from tasks.releases.verify import Release, verify_commit, verify_release
from tasks.repository import transfer
from tasks.repository.released import released_commit, released_folder
from tasks.repository.worktrees import temporary_worktree
from tasks.runs.runs import BRANCHES, read_run

Approved = Sequence[Envelope] | Callable[[Candidate], Sequence[Envelope]]


def create_release(root: Path, run_id: str, approved: Approved, trainer_key: PrivateKey, *, push: bool = True) -> Release:
    """Release the run's checkpoint, or complete the release if the run is released already; concurrent releases wait for each other.

    `approved` are the approvals, or a function that signs them for the candidate once that is verified. Everything is verified again;
    `ReleaseError` says what does not hold. Unless `push` is False, checkpoint and inputs are at the DVC remote, and the commits at
    `origin`, before the branch moves here.
    """
    trust = read_trust(root)
    trainer = trust.owner(trainer_key, Role.TRAINER)
    with history.one_at_a_time(root):
        (history.synchronise if push else history.catch_up)(root)
        current = verify_release(root, even_revoked=True) if released_commit(root) else None
        if current and current.record.judged.commit == read_run(root, run_id)["commit"] and current.rollback is None:
            _complete(root, current, push=push)
            return current
        with examined(root, run_id) as (candidate, worktree):
            _check_relative(candidate, current)
            _check_decision(root, worktree, candidate)
            envelopes = approved(candidate) if callable(approved) else approved
            approvals = verify_approvals(root, candidate, envelopes)
            if push:
                transfer.push(worktree)
            tag = history.next_tag(root)
            both = people_in_both_roles(trainer, approvals, trust)
            record = write_content(worktree, tag, candidate, approvals, envelopes, both)
            sign_model(root, worktree / CHECKPOINT, worktree / RELEASE_FOLDER / MODEL_SIGNATURE)
            sign_content(worktree, record, trainer_key)
            log_statements(worktree, logged(root, candidate.judged.commit))
            parents = [*([current.commit] if current else []), candidate.judged.commit]
            commit = history.write_commit(worktree, parents, f"{tag}: run {run_id}")
        release = verify_commit(root, commit, trust)
        run = (f"{BRANCHES}/{run_id}", candidate.judged.commit)
        history.move(root, commit, current.commit if current else None, tag=tag, run=run, push=push)
    return release


def _check_decision(root: Path, worktree: Path, candidate: Candidate) -> None:
    """Recompute the gate's decision from the evaluation, and compare it with the recorded one criterion by criterion."""
    metrics, results = (worktree / EVALUATION.outputs[name].path for name in ("metrics", "results"))
    with released_folder(root) as released:
        again = decide_from_files(load_params(worktree / PARAMETERS).gate, metrics, results, released)
    nothing: dict[str, Any] = {}
    for found, wanted in zip_longest(candidate.decision["criteria"], again["criteria"], fillvalue=nothing):
        if any(found.get(key) != wanted.get(key) for key in ("name", "passed", "reason")):
            problem = f"the gate's decision does not follow from the metrics: {_worded(found)}, but the metrics give {_worded(wanted)}"
            raise ReleaseError(problem, file=DECISION, field="criteria", hint="run the gate again: ascl run --force gate")
    if candidate.decision["passed"] is not again["passed"]:
        raise ReleaseError(
            "the gate's decision does not follow from the metrics", file=DECISION, field="passed", hint="ascl run --force gate"
        )


def _worded(criterion: Mapping[str, Any]) -> str:
    verdict = "holds" if criterion.get("passed") else "fails"
    return f"{criterion['name']} {verdict} ({criterion['reason']})" if criterion else "no such criterion"


def _complete(root: Path, current: Release, *, push: bool) -> None:
    """Finish an interrupted release: make the tag if it is missing, and push what was not pushed yet."""
    if push:
        with temporary_worktree(root, current.commit) as worktree:
            transfer.push(worktree)
    run = (f"{BRANCHES}/{current.record.run}", current.record.commit)
    history.complete(root, current.commit, current.tag, run, push=push)


def _check_relative(candidate: Candidate, current: Release | None) -> None:
    """Check that the gate compared with the current release."""
    now = current.record.model_dump(mode="json") if current else None
    if candidate.decision["released"] != now:
        what = current.tag if current else "no release"
        problem = f"the gate compared with {candidate.replaces or 'no release'}, but the current release is {what}"
        raise ReleaseError(problem, field="run", value=candidate.judged.run, hint=f"evaluate again against {what}: start the run anew")
