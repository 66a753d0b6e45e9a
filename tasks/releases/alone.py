"""A release that one person makes alone on one machine: keys, approval and signature in one step, and the record says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ascl_core.errors import ReleaseError
from tasks.evidence.statements import Envelope
from tasks.evidence.trust import Role, read_trust
from tasks.registry.paths import TRUSTED_KEYS
from tasks.releases.approvals import sign_approval
from tasks.releases.candidate import Candidate
from tasks.releases.create import create_release
from tasks.releases.own_keys import FOLDER, own_keys
from tasks.releases.verify import Release, verify_release
from tasks.repository.released import released_commit
from tasks.runs.runs import read_run
from tasks.runs.summary import read_decision
from tasks.runs.working_tree_run import keep_run, require_committed, require_finished, run_id


def release_alone(
    root: Path, reason: str, person: str, say: Callable[[str], None], *, folder: Path = FOLDER, push: bool = False
) -> Release:
    """Release the working tree's finished run, approved and signed by one person; `say` gets a line for each thing that was done.

    A second call returns the same release, and a call after a killed one finishes it. Nothing leaves this machine without `push`.
    `ReleaseError` if the gate did not pass: to override it takes two people. `WorkspaceError` if the run is not finished, or used
    files that are not committed.
    """
    if not reason.strip():
        raise ReleaseError("a release needs a reason", field="reason", hint="say why, for those who read it later: --reason '…'")
    require_committed(root, [str(TRUSTED_KEYS)])
    is_new = not _is_released(root)
    if is_new:
        require_finished(root)
        _require_passed(root)
    keys = own_keys(root, person, folder, say)
    if _is_released(root):
        say("this run is released already")
        return create_release(root, run_id(root), [], keys.trainer, push=push)
    run = keep_run(root, is_finished=is_new)
    say(f"kept the working tree's run as the branch runs/{run}: {read_run(root, run)['commit'][:12]}")

    def approve(found: Candidate) -> list[Envelope]:
        approver = read_trust(root).owner(keys.approver, Role.APPROVER).name
        approval = sign_approval(found, approver, reason, keys.approver)
        say(f"approved as {approver}: {reason.strip()}")
        return [approval]

    return create_release(root, run, approve, keys.trainer, push=push)


def _is_released(root: Path) -> bool:
    """Return whether the working tree's run is the current release."""
    if released_commit(root) is None:
        return False
    current = verify_release(root, even_revoked=True)
    return current.rollback is None and current.record.run == run_id(root)


def _require_passed(root: Path) -> None:
    decision = read_decision(root)
    if not decision.passed:
        hint = "train on, and run again; to release it all the same, two people sign: ascl approve --override --reason '…', each of them"
        raise ReleaseError(f"the gate did not pass: {'; '.join(decision.failing)}", hint=hint)
