"""What was recorded once: the checkpoints, suites and rules of runs and releases, by a name that a person types.

A name is a run's id, a release's tag, `released`, any other commit, or a path within the repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import digest, is_within, write_json
from ascl_core.config.params import load_params
from ascl_core.errors import ModelError, WorkspaceError
from tasks.execution.adhoc import evaluate_checkpoint
from tasks.execution.supervisor import OnEvent
from tasks.registry.stages import CANDIDATE, CORPUS, SUITES, SUITES_MANIFEST, checkpoint_of
from tasks.repository import outputs
from tasks.repository.git import commit_of, head_of
from tasks.repository.released import NOW, released_commit
from tasks.runs import runs
from tasks.runs.rule_sources import read_rules


@dataclass(frozen=True)
class Evaluated:
    """One checkpoint, and where its figures are."""

    name: str
    checkpoint_sha256: str
    metrics: Path


def commit_named(root: Path, name: str) -> str | None:
    """The commit of a run, of a release or of any other revision; None where the name is a path."""
    if name == NOW:
        commit = released_commit(root)
        if commit is None:
            raise WorkspaceError("nothing is released yet", field="checkpoint", value=name, hint="give the id of a run, or a path")
        return commit
    return head_of(root, f"{runs.BRANCHES}/{name}") or commit_of(root, f"refs/tags/{name}") or commit_of(root, name)


def evaluate_recorded(root: Path, place: Path, name: str, rules: str, suites: str, folder: Path, on_event: OnEvent) -> Evaluated:
    """Evaluate the checkpoint of that name with the code and parameters of the worktree `place`; its results go to `folder`.

    Without `rules` and `suites` they are the checkpoint's own: of its run, or what the repository has where it is given by its path.
    """
    commit, into = _where(root, name), place / ".ascl" / "recorded" / folder.name
    wanted = checkpoint_of(CANDIDATE).path
    checkpoint = _inside(root, name) if commit is None else outputs.fetch_recorded(root, commit, wanted, into)
    asked = _commit(root, suites) if suites else commit
    if asked is not None:
        for artifact in (SUITES, SUITES_MANIFEST):
            outputs.fetch_recorded(root, asked, artifact.path, into)
    corpus = _corpus(root, rules, commit, into)
    metrics = evaluate_checkpoint(place, checkpoint, folder, corpus, on_event, suites=root if asked is None else into)
    return Evaluated(name, digest(checkpoint), metrics)


def _where(root: Path, name: str) -> str | None:
    return None if (root / name).is_dir() else commit_named(root, name)


def _inside(root: Path, name: str) -> Path:
    path = (root / name).resolve()
    if not is_within(path, root) or not path.is_dir():
        known = ", ".join(runs.ended_runs(root)[:5]) or "no run has ended yet"
        raise ModelError(
            "neither a run, nor a release, nor a folder of the repository", field="checkpoint", value=name, hint=f"runs: {known}"
        )
    return path


def _commit(root: Path, name: str) -> str:
    commit = commit_named(root, name)
    if commit is None:
        raise WorkspaceError("neither a run, nor a release, nor a commit", field="suites", value=name, hint="give the id of a run")
    return commit


def _corpus(root: Path, rules: str, commit: str | None, into: Path) -> Path:
    """A compiled corpus: that of the rules asked for, else of the checkpoint's own run, else of the repository."""
    if not rules:
        return root / CORPUS.path if commit is None else outputs.fetch_recorded(root, commit, CORPUS.path, into)
    place = commit_named(root, rules) or rules
    path = into / CORPUS.path
    write_json(path, read_rules(root, place, load_params(root / "params.yaml").rules).to_json())
    return path
