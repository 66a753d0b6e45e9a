"""Release an earlier release again: one more commit, signed by an approver, with the files of the earlier one."""

from __future__ import annotations

from pathlib import Path

from ascl_core.artifacts import write_json
from ascl_core.errors import ReleaseError
from tasks.evidence.statements import ROLLBACK, Statement, now, sign
from tasks.evidence.trust import PrivateKey, Role, read_trust
from tasks.registry.stages import CANDIDATE, CHECKPOINT
from tasks.releases import history
from tasks.releases.content import ROLLBACK_FILE, Record, log_statements, logged
from tasks.releases.verify import Release, check_checkpoint, rollback_predicate, verify_commit, verify_release
from tasks.repository import outputs
from tasks.repository.worktrees import temporary_worktree


def rollback(root: Path, tag: str, reason: str, key: PrivateKey, *, push: bool = True) -> Release:
    """Make an earlier release the current one; `ReleaseError` if its weights are missing or differ.

    The approver vouches for it again, so a key that signed it may have been revoked since.
    """
    trust = read_trust(root)
    approver = trust.owner(key, Role.APPROVER).name
    if not reason.strip():
        raise ReleaseError("a rollback needs a reason", field="reason", hint="say why, for those who read it later: --reason '…'")
    with history.one_at_a_time(root):
        (history.synchronise if push else history.catch_up)(root)
        target = verify_release(root, tag, even_revoked=True)
        current = verify_release(root, even_revoked=True)
        if current.tag == tag:
            return current
        with temporary_worktree(root, target.commit) as worktree:
            outputs.check_out(worktree, [CANDIDATE])
            check_checkpoint(worktree / CHECKPOINT, target.record)
            statement = _statement(target.record, current, approver, reason)
            write_json(worktree / target.folder / ROLLBACK_FILE, sign(statement, key))
            log_statements(worktree, logged(root, target.record.commit), target.folder)
            commit = history.write_commit(worktree, [current.commit], f"back to {tag}: {reason.strip()}", target.folder)
        release = verify_commit(root, commit, trust, even_revoked=True)
        history.move(root, commit, current.commit, push=push)
    return release


def _statement(target: Record, current: Release, approver: str, reason: str) -> Statement:
    bound = rollback_predicate(target, current.tag, current.commit)
    said = {**bound, "approver": approver, "reason": reason.strip(), "time": now()}
    return Statement(ROLLBACK, CHECKPOINT, target.checkpoint.sha256, said)
