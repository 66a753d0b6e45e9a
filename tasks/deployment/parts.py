"""What flow runs ask of other parts of `tasks` in more than one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ascl_core.config.params import load_params
from tasks.evidence.statements import decode
from tasks.evidence.trust import Role, read_key
from tasks.execution.plan import make_plan, plan_to_json
from tasks.releases.create import create_release
from tasks.repository.git import git
from tasks.runs import rule_sources


def refresh(root: Path, place: str) -> None:
    """Fetch from the git remote that `place` names, such as `origin` of `origin/main`; nothing where it names none."""
    remote = place.partition("/")[0]
    if "://" not in place and "/" in place and remote in git(root, "remote").splitlines():
        git(root, "fetch", "--quiet", "--tags", remote)


def plan_for_rules(root: Path, rules: Path) -> dict[str, Any]:
    """What a run with these rules would do with every stage, as JSON."""
    return plan_to_json(make_plan(root, rules=rule_sources.compiled(rules, load_params(root / "params.yaml").rules, "the new rules")))


def release(root: Path, run_id: str, approvals: Sequence[str], *, push: bool) -> str:
    """Release the checkpoint of the run with these signed approvals, and return what was released, by whom and why.

    Raises the error of the first check that fails.
    """
    released = create_release(root, run_id, [decode(text) for text in approvals], read_key(Role.TRAINER), push=push)
    people = "; ".join(f"{approval.approver}: {approval.reason}" for approval in released.approvals)
    where = "pushed to the DVC remote and to origin" if push else "in the worker's repository only, nothing was pushed"
    return f"{run_id} as {released.tag}, approved by {people}; {where}"
