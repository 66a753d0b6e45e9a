"""What is asked of the person who approves a release, and what is checked of the answer before anything is released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ascl_core.errors import ConfigError, WorkspaceError
from tasks.runs import read_run


@dataclass(frozen=True)
class Candidate:
    """The checkpoint that a run left, as its commit says."""

    run_id: str
    commit: str
    sha256: str
    passed: bool
    summary: str
    failing: tuple[str, ...]


def require_candidate(root: Path, run_id: str, *, override: bool) -> Candidate:
    """The candidate of the run; `WorkspaceError` where its gate did not pass and no override was asked for, or says nothing."""
    said = read_run(root, run_id)
    gate, checkpoint = said.get("gate") or {}, said.get("checkpoint") or {}
    candidate = Candidate(
        *(run_id, said["commit"], str(checkpoint.get("sha256", "")), gate.get("passed") is True, str(gate.get("summary", "no gate"))),
        tuple(gate.get("failing", ())),
    )
    if not candidate.sha256:
        raise WorkspaceError("the run has no checkpoint to release", field="run", value=run_id, mend="give the id of a run of retrain")
    if not candidate.passed and not override:
        why = "; ".join(candidate.failing) or candidate.summary
        raise WorkspaceError(f"the gate did not pass: {why}", field="run", value=run_id, mend="retrain; an override needs two persons")
    return candidate


def question(candidate: Candidate, problem: str = "") -> str:
    """What a person reads above the form of the approval, in Markdown."""
    gate = "The gate passed." if candidate.passed else "**The gate did not pass**: " + "; ".join(candidate.failing)
    again = f"**The last answer does not hold:** {problem}\n\n" if problem else ""
    return (
        f"{again}Release the checkpoint of run `{candidate.run_id}` (commit `{candidate.commit[:12]}`)?\n\n{gate} {candidate.summary}\n\n"
        f"Sign it: `ascl approve {candidate.run_id}`, and paste what it prints. Checkpoint: `{candidate.sha256}`\n"
    )


def require_approval(candidate: Candidate, digest: str, approvals: Sequence[str], *, override: bool) -> list[str]:
    """The approvals, without blank ones; `ConfigError` where the digest is another one, or there are too few."""
    if digest != candidate.sha256:
        raise ConfigError("is not the digest of this checkpoint", field="digest", value=digest, mend="compare it with the run's report")
    given = [text.strip() for text in approvals if text.strip()]
    needed = 2 if override and not candidate.passed else 1
    if len(given) < needed:
        raise ConfigError(
            f"{needed} signed approvals are needed", field="approvals", value=len(given), mend="ascl approve, by each of them"
        )
    return given
