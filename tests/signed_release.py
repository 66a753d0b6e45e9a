"""A first release, approved by `ada` and signed by `ci`, of what a repository's last commit holds."""

from __future__ import annotations

from pathlib import Path

from ascl_core.artifacts import sha256_json
from ascl_core.released import checkpoint_digest
from tasks.evidence.trust import Role, new_key, read_key
from tasks.registry.stages import CHECKPOINT
from tasks.releases import history
from tasks.releases.approvals import sign_approval, verify_approvals
from tasks.releases.candidate import Candidate, Judged
from tasks.releases.content import log_statements, logged, sign_content, write_content
from tasks.repository.git import git
from tasks.repository.worktrees import temporary_worktree


def make_keys(root: Path, keys: Path) -> None:
    """Have the repository trust both; the private keys are in that folder."""
    for role, name in ((Role.APPROVER, "ada"), (Role.TRAINER, "ci")):
        new_key(root, role, name, keys / f"{name}.pem")


def sign_release(root: Path, keys: Path, rules: str) -> None:
    """Release `HEAD` as that of a run `yes` as `release/1`; `rules` is the digest of its corpus."""
    run = git(root, "rev-parse", "HEAD")
    judged = Judged("yes", run, checkpoint_digest(root / CHECKPOINT), sha256_json("gate"), ())
    found = Candidate(judged, {"released": None}, {}, rules, None, "0" * 64)
    envelopes = [sign_approval(found, "ada", "read it", read_key(Role.APPROVER, keys / "ada.pem"))]
    with temporary_worktree(root, run) as worktree:
        record = write_content(worktree, "release/1", found, verify_approvals(root, found, envelopes), envelopes)
        sign_content(worktree, record, read_key(Role.TRAINER, keys / "ci.pem"))
        log_statements(worktree, logged(root, run))
        history.move(root, history.write_commit(worktree, [run], "release/1"), None, tag="release/1", push=False)
