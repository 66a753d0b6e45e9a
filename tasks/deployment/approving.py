"""The question to the person who approves a release, the checks of the answer, and the release."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ascl_core.errors import ConfigError, WorkspaceError
from tasks.evidence.statements import decode
from tasks.evidence.trust import Role, read_key, read_trust
from tasks.releases.approvals import Approval, verify_approvals
from tasks.releases.candidate import Candidate, candidate
from tasks.releases.create import create_release

_HALF = 32
"""Half of a SHA-256: Prefect's dialog cuts off longer words."""


def require_candidate(root: Path, run_id: str, *, override: bool) -> Candidate:
    """Return the candidate of the run, whose digests agree; `WorkspaceError` if its gate did not pass and `override` is not set."""
    found = candidate(root, run_id)
    if not found.judged.passed and not override:
        why = "; ".join(_failing(found))
        raise WorkspaceError(f"the gate did not pass: {why}", field="run", value=run_id, hint="retrain; an override needs two people")
    return found


def require_trainer(root: Path) -> None:
    """Check, before anybody is asked, that this worker has the trainer's key that signs releases; raises what is wrong with it."""
    read_trust(root).owner(read_key(Role.TRAINER), Role.TRAINER)


def question(found: Candidate, problem: str = "", *, push: bool) -> str:
    """Return the text above the form of the approval, in Markdown."""
    judged = found.judged
    again = f"**The last answer was not accepted:** {problem}\n\n" if problem else ""
    failed = "".join(f"- {line}\n" for line in _failing(found))
    gate = f"The gate passed: {found.decision['summary']}\n" if judged.passed else f"**The gate did not pass:**\n\n{failed}"
    who = "Whoever approves signs" if judged.passed else "Two people sign, each with their own key"
    where = "pushes the checkpoint to the DVC remote, and the branch releases and a tag to origin" if push else "pushes nothing"
    first, second = judged.checkpoint[:_HALF], judged.checkpoint[_HALF:]
    sign = f"ascl approve {judged.run} --reason '…'" + ("" if judged.passed else " --override")
    causes = f"To sign why answers changed since {found.replaces}, too: `ascl release causes --json > FILE`, then `--causes FILE`.\n\n"
    return (
        f"{again}Release the checkpoint of run `{judged.run}`, commit `{judged.commit[:12]}`?\n\n{gate}\n"
        f"{who}; paste the printed line into *Signed approvals*:\n\n`{sign}`\n\n{causes if found.replaces else ''}"
        f"The checkpoint's SHA-256, which the line contains and the run's report names:\n\n`{first}` `{second}`\n\n"
        f"The release {where}.\n"
    )


def require_approvals(root: Path, found: Candidate, approvals: Sequence[str], *, override: bool) -> list[str]:
    """Return the approvals without blank ones; `ConfigError` if there are too few, `ReleaseError` if a signature does not hold.

    So whatever fails afterwards is not the fault of who approved.
    """
    given = [text.strip() for text in approvals if text.strip()]
    needed = 2 if override and not found.judged.passed else 1
    if len(given) < needed:
        raise ConfigError(
            f"{needed} signed approvals are needed", field="approvals", value=len(given), hint="ascl approve, by each of them"
        )
    verify_approvals(root, found, [decode(text) for text in given])
    return given


def release(root: Path, run_id: str, approvals: Sequence[str], *, push: bool) -> str:
    """Release the checkpoint of the run with these signed approvals, and return what was released, by whom and why.

    Raises the error of the first check that fails.
    """
    released = create_release(root, run_id, [decode(text) for text in approvals], read_key(Role.TRAINER), push=push)
    people = "; ".join(map(_of_person, released.approvals))
    where = "pushed to the DVC remote and to origin" if push else "in the worker's repository only, nothing was pushed"
    return f"{run_id} as {released.tag}, approved by {people}; {where}"


def _of_person(approval: Approval) -> str:
    causes = f" ({approval.causes.summary})" if approval.causes else ""
    return f"{approval.approver}: {approval.reason}{causes}"


def _failing(found: Candidate) -> list[str]:
    return [f"{criterion['name']}: {criterion['reason']}" for criterion in found.decision["criteria"] if not criterion["passed"]]
