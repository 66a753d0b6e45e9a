"""The recorded checkpoints, suites and rules of runs and releases, by a name that a person types.

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
from tasks.registry.paths import PARAMETERS, RECORDED
from tasks.registry.stages import CHECKPOINT, CORPUS, RULE_INDEX, SUITES, SUITES_MANIFEST
from tasks.repository import outputs
from tasks.repository.git import commit_of, head_of
from tasks.repository.released import CURRENT, released_commit
from tasks.runs import runs
from tasks.runs.rule_sources import read_rules


@dataclass(frozen=True)
class Evaluated:
    """One checkpoint, and the file with its metrics."""

    name: str
    checkpoint_sha256: str
    metrics: Path


def commit_named(root: Path, name: str) -> str | None:
    """Return the commit of a run, a release or any other revision; None if there is none of that name."""
    if name == CURRENT:
        commit = released_commit(root)
        if commit is None:
            raise WorkspaceError("nothing is released yet", field="checkpoint", value=name, hint="give the id of a run, or a path")
        return commit
    return head_of(root, f"{runs.BRANCHES}/{name}") or commit_of(root, f"refs/tags/{name}") or commit_of(root, name)


def evaluate_recorded(root: Path, worktree: Path, name: str, rules: str, suites: str, folder: Path, on_event: OnEvent) -> Evaluated:
    """Evaluate the checkpoint of that name with the code and parameters of a worktree; its results go to `folder`.

    The defaults of `rules` and `suites` are those of the checkpoint's run, or of the repository if the checkpoint is given by its path.
    """
    commit, into = None if (root / name).is_dir() else commit_named(root, name), worktree / RECORDED / folder.name
    checkpoint = _inside(root, name) if commit is None else outputs.fetch_recorded(root, commit, CHECKPOINT, into)
    suites_commit = _commit(root, suites) if suites else commit
    if suites_commit is not None:
        for artifact in (SUITES, SUITES_MANIFEST):
            outputs.fetch_recorded(root, suites_commit, artifact.path, into)
    corpus = _corpus(root, rules, commit, into)
    index = root / RULE_INDEX.path if commit is None and not rules else None
    asked = root if suites_commit is None else into
    metrics = evaluate_checkpoint(worktree, checkpoint, folder, corpus, on_event, suites=asked, index=index)
    return Evaluated(name, digest(checkpoint), metrics)


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
    """Return the compiled corpus of `rules`, else of the checkpoint's own run, else of the repository."""
    if not rules:
        return root / CORPUS.path if commit is None else outputs.fetch_recorded(root, commit, CORPUS.path, into)
    path = into / CORPUS.path
    write_json(path, read_rules(root, commit_named(root, rules) or rules, load_params(root / PARAMETERS).rules).to_json())
    return path
