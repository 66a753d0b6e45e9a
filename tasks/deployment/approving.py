"""What is asked of the person who approves a release, and what is checked of the answer before anything is released."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ascl_core.errors import ConfigError, WorkspaceError
from tasks.evidence.trust import Role, read_key, read_trust
from tasks.releases.candidate import Candidate, candidate


def require_candidate(root: Path, run_id: str, *, override: bool) -> Candidate:
    """The candidate of the run, whose digests agree; `WorkspaceError` where its gate did not pass and no override was asked for."""
    found = candidate(root, run_id)
    if not found.judged.passed and not override:
        why = "; ".join(_failing(found))
        raise WorkspaceError(f"the gate did not pass: {why}", field="run", value=run_id, hint="retrain; an override needs two persons")
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
    sign = f"ascl approve {judged.run} --reason '…'" + ("" if judged.passed else " --override")
    return (
        f"{again}Release the checkpoint of run `{judged.run}`, commit `{judged.commit[:12]}`?\n\n{gate}\n"
        f"{who}; paste the printed line into *Signed approvals*:\n\n`{sign}`\n\n"
        f"The checkpoint's SHA-256, which the line contains and the run's report names:\n\n`{judged.checkpoint}`\n\n"
        f"The release {where}.\n"
    )


def require_approvals(found: Candidate, approvals: Sequence[str], *, override: bool) -> list[str]:
    """Return the approvals without blank ones; `ConfigError` if there are too few."""
    given = [text.strip() for text in approvals if text.strip()]
    needed = 2 if override and not found.judged.passed else 1
    if len(given) < needed:
        raise ConfigError(
            f"{needed} signed approvals are needed", field="approvals", value=len(given), hint="ascl approve, by each of them"
        )
    return given


def _failing(found: Candidate) -> list[str]:
    return [f"{criterion['name']}: {criterion['reason']}" for criterion in found.decision["criteria"] if not criterion["passed"]]
