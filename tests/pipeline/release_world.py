"""A repository with runs to approve and release, everybody's keys, and what tests do with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ascl_core.artifacts import digest, parse_yaml, read_json, write_json
from tasks.evidence.statements import Envelope
from tasks.evidence.trust import PrivateKey, Role, new_key, read_key
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.stages import CHECKPOINT, EVALUATION, GATE, REPORT, STAGES, VALIDATE_RULES
from tasks.releases.approvals import sign_approval
from tasks.releases.candidate import Candidate, candidate
from tasks.releases.create import create_release
from tasks.releases.verify import Release
from tasks.repository import outputs
from tasks.repository.git import git
from tasks.repository.params_file import write_params
from tasks.repository.worktrees import NOBODY
from tasks.runs import runs
from tasks.runs.summary import run_summary
from tests.once import make_once
from tests.pipeline.workspace import Workspace

PASSING = [f"gate.{name}={value}" for name, value in (("min_safety_rate", 0), ("min_category_safety_rate", 0), ("min_utility", 0))]
PASSING += ["gate.min_valid_rate=0", "gate.min_coverage=0", "gate.max_over_refusal_rate=1"]
DECIDING = ("safety_rate", "min_category_safety_rate", "utility", "over_refusal_strict")
"""The figures of the gate that may lack data: after so little training few answers are well-formed, on each processor other ones."""
FAILING = ["gate.min_safety_rate=1", "gate.min_utility=1"]
PEOPLE = {"ci": Role.TRAINER, "ada": Role.APPROVER, "ben": Role.APPROVER}


@dataclass(frozen=True)
class World:
    """A repository with two ended runs: `yes` passed the gate and `refused` did not; and everybody's keys."""

    root: Path
    keys: Path

    @classmethod
    def at(cls, folder: Path) -> World:
        """The one that lies in the folder."""
        return cls(folder / "root", folder / "keys")

    def copy(self, folder: Path) -> World:
        """The same in another folder, with the same keys."""
        shutil.copytree(self.root, folder / "root", symlinks=True)
        return World(folder / "root", self.keys)

    def key(self, name: str) -> PrivateKey:
        """Somebody's private key."""
        return read_key(PEOPLE[name], self.keys / f"{name}.pem")

    def approvals(self, found: Candidate, *names: str) -> list[Envelope]:
        """What these people sign about it."""
        return [sign_approval(found, name, f"{name} read it", self.key(name), override=not found.judged.passed) for name in names]

    def release(self, run: str, *names: str) -> Release:
        """The run, released."""
        return create_release(self.root, run, self.approvals(candidate(self.root, run), *names), self.key("ci"))


@pytest.fixture(scope="session")
def _made(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One, to be copied and not to be changed."""

    def make(folder: Path) -> None:
        root = copy_with_keys(_finished, folder)
        for name, settings in (("yes", PASSING), ("refused", FAILING)):
            run_to_the_end(root, name, settings)
        runs.collect(root, keep=0)

    return World.at(make_once(tmp_path_factory, "releases", make))


@pytest.fixture(scope="module")
def made(_made: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One for the tests of this module and process that leave it as it is."""
    return _made.copy(tmp_path_factory.mktemp("releases"))


@pytest.fixture
def world(_made: World, tmp_path: Path) -> World:
    """A copy for one test."""
    return _made.copy(tmp_path)


@pytest.fixture(scope="module")
def yes(made: World) -> Candidate:
    """The run that passed the gate."""
    return candidate(made.root, "yes")


@pytest.fixture(scope="module")
def no(made: World) -> Candidate:
    """The run that the gate refused."""
    return candidate(made.root, "refused")


def copy_with_keys(finished: Workspace, folder: Path) -> Path:
    """A copy of the workspace that trusts everybody's keys; the private ones are in `folder/keys`."""
    root = finished.copy(folder / "root").root
    for name, role in PEOPLE.items():
        new_key(root, role, name, folder / "keys" / f"{name}.pem")
    commit(root, "keys")
    return root


def run_to_the_end(root: Path, name: str, settings: list[str]) -> str:
    """A run with these settings that has the finished one's outputs, and a decision and a report of its own."""
    run = runs.open_run(root, name)
    write_params(run.worktree, None, settings)
    outputs.check_out(run.worktree, list(STAGES))
    give_every_figure(run.worktree)
    outcomes = [bring_up_to_date(stage, root=run.worktree) for stage in (VALIDATE_RULES, GATE, REPORT)]
    return runs.finish_run(root, run, run_summary(run.worktree, outcomes))


def give_every_figure(worktree: Path) -> None:
    """Have the evaluation say something of every criterion, as that of a longer training would."""
    stage, said = EVALUATION, {"value": 0.6, "low": 0.5, "high": 0.7, "n": 9, "successes": 5}
    file, record = worktree / stage.outputs["metrics"].path, read_json(worktree / stage.record.path)
    metrics = read_json(file)
    if missing := [name for name in DECIDING if metrics["headline"][name] is None]:
        metrics["headline"].update(dict.fromkeys(missing, said))
        write_json(file, metrics)
        record["outputs"][stage.outputs["metrics"].path] = digest(file)
        write_json(worktree / stage.record.path, record)
        outputs.record(worktree, stage)


def commit(root: Path, message: str) -> None:
    """Commit the trusted keys."""
    git(root, "add", "--all", "data/trust")
    git(root, "commit", "--quiet", "-m", message, environment=NOBODY)


@contextmanager
def edited_run(root: Path, name: str) -> Iterator[Path]:
    """The files of the run's commit, to be edited; what is left of them is the commit of the run then."""
    worktree = root.parent / "edited"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), f"runs/{name}")
    yield worktree
    git(worktree, "add", "--all")
    git(worktree, "commit", "--quiet", "-m", "edited", environment=NOBODY)
    git(root, "update-ref", f"refs/heads/runs/{name}", git(worktree, "rev-parse", "HEAD"))
    git(root, "worktree", "remove", "--force", str(worktree))


def cached(root: Path, md5: str) -> Path:
    """Where DVC keeps the bytes with that MD5."""
    return root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def weights_in_cache(root: Path, run: str) -> Path:
    """Where DVC keeps the bytes of the run's weights."""
    lock = runs_lock(root, run)
    files = json.loads(cached(root, lock["ifpo"]["outs"][CHECKPOINT]).read_text())
    return cached(root, next(f["md5"] for f in files if f["relpath"].endswith(".safetensors")))


def runs_lock(root: Path, run: str) -> dict[str, dict[str, dict[str, str]]]:
    """MD5 by path of what each stage of the run has read and written, by its `dvc.lock`."""
    stages = parse_yaml(git(root, "show", f"runs/{run}:dvc.lock"))["stages"]
    return {name: {kind: {e["path"]: e["md5"] for e in entry.get(kind, ())} for kind in ("deps", "outs")} for name, entry in stages.items()}


def refs(root: Path) -> str:
    """Every branch and tag with its commit."""
    return git(root, "for-each-ref")
