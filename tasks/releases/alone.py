"""A release that one person makes alone on one machine: keys, approval and signature in one step, and the record says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ascl_core.errors import ReleaseError
from tasks.evidence.trust import FILE, Role, read_trust
from tasks.releases.approvals import sign_approval
from tasks.releases.candidate import candidate
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
    `ReleaseError` where the gate said no: to override it takes two people. `WorkspaceError` where the run is not finished, or is of
    files that are in no commit.
    """
    if not reason.strip():
        raise ReleaseError("a release needs a reason", field="reason", hint="say why, for those who read it later: --reason '…'")
    require_committed(root, [str(FILE)])
    if not _is_released(root):
        require_finished(root)
        _require_passed(root)
    keys = own_keys(root, person, folder, say)
    if _is_released(root):
        say("this run is released already")
        return create_release(root, run_id(root), [], keys.trainer, push=push)
    run = keep_run(root)
    say(f"kept the working tree's run as the branch runs/{run}: {read_run(root, run)['commit'][:12]}")
    found = candidate(root, run)
    approver = read_trust(root).owner(keys.approver, Role.APPROVER).name
    approval = sign_approval(found, approver, reason, keys.approver)
    say(f"approved as {approver}: {reason.strip()}")
    return create_release(root, run, [approval], keys.trainer, push=push)


def _is_released(root: Path) -> bool:
    """Whether the working tree's run is what is released."""
    if released_commit(root) is None:
        return False
    current = verify_release(root, even_revoked=True)
    return current.rollback is None and current.record.run == run_id(root)


def _require_passed(root: Path) -> None:
    decision = read_decision(root)
    if not decision.passed:
        why = "; ".join(decision.failing)
        hint = "train on, and run again; to release it all the same, two people sign: ascl approve --override --reason '…', each of them"
        raise ReleaseError(f"the gate said no: {why}", field="gate", value=decision.summary, hint=hint)
