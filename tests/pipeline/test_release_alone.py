"""A release by one person in one step, and what plan, run, status and clones say of it afterwards."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ascl_core.artifacts import digest, read_json
from ascl_core.released import checkpoint_digest
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.stages import CHECKPOINT, DECISION, GATE, REPORT, VALIDATE_RULES
from tasks.releases.verify import verify_release
from tasks.repository.git import commit_of, git
from tasks.repository.params_file import write_params
from tasks.repository.worktrees import NOBODY
from tests.once import make_once
from tests.pipeline.release_world import FAILING, PASSING, PEOPLE, give_every_figure
from tests.pipeline.test_rule_changes import VERDICT, forbid
from tests.pipeline.workspace import Workspace

pytestmark = pytest.mark.timeout(1800)
ALONE = ("release", "alone", "--name", "ada", "--reason", "the first checkpoint")


@dataclass(frozen=True)
class Person:
    """Somebody at a machine, with a home of her own."""

    workspace: Workspace
    home: Path

    @property
    def root(self) -> Path:
        """Her repository."""
        return self.workspace.root

    @property
    def environment(self) -> dict[str, str]:
        """That of her commands."""
        return {**self.workspace.environment, "HOME": str(self.home)}

    def ascl(self, *arguments: str, status: int = 0) -> str:
        """What `ascl …` prints to her."""
        done = subprocess.run(["ascl", *arguments], cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def key_files(self) -> list[Path]:
        """Her private keys."""
        return sorted((self.home / ".config/ascl/keys").glob("*"))


@pytest.fixture(scope="session")
def _passed(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose last run passed the gate, as its parameters ask for little."""

    def make(folder: Path) -> None:
        ask_for(_finished.copy(folder / "made").root, PASSING)

    return Workspace(make_once(tmp_path_factory, "passed", make) / "made")


def ask_for(root: Path, settings: list[str]) -> None:
    """Have the gate decide again, with these thresholds."""
    write_params(root, None, settings)
    git(root, "commit", "--quiet", "--allow-empty", "-m", "other thresholds", "params.yaml", environment=NOBODY)
    give_every_figure(root)
    for stage in (VALIDATE_RULES, GATE, REPORT):
        bring_up_to_date(stage, root=root)


@pytest.fixture(scope="session")
def _refused(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    def make(folder: Path) -> None:
        ask_for(_finished.copy(folder / "made").root, FAILING)

    return Workspace(make_once(tmp_path_factory, "refused", make) / "made")


@pytest.fixture
def refused(_refused: Workspace, api_url: str, tmp_path: Path) -> Person:
    """Somebody whose last run the gate refused."""
    (tmp_path / "home").mkdir()
    return Person(_refused.copy(tmp_path / "root", api_url), tmp_path / "home")


@pytest.fixture
def person(_passed: Workspace, api_url: str, tmp_path: Path) -> Person:
    (tmp_path / "home").mkdir()
    return Person(_passed.copy(tmp_path / "root", api_url), tmp_path / "home")


@pytest.fixture(scope="session")
def _released(_passed: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Person:
    def make(folder: Path) -> None:
        (folder / "home").mkdir()
        Person(_passed.copy(folder / "root"), folder / "home").ascl(*ALONE)

    folder = make_once(tmp_path_factory, "released-alone", make)
    return Person(Workspace(folder / "root"), folder / "home")


@pytest.fixture
def released(_released: Person, api_url: str, tmp_path: Path) -> Person:
    """Ada, who has released the last run."""
    return Person(_released.workspace.copy(tmp_path / "released", api_url), _released.home)


def state(root: Path) -> tuple[str, str]:
    """Every ref, and what git sees changed."""
    return git(root, "for-each-ref"), git(root, "status", "--porcelain")


def test_a_first_release_is_one_step_says_who_did_all_of_it_and_leaves_the_machine_alone(person: Person, tmp_path: Path) -> None:
    git(person.root, "init", "--quiet", "--bare", str(tmp_path / "origin"))
    git(person.root, "remote", "add", "origin", str(tmp_path / "origin"))
    head, index, changed = (git(person.root, *words) for words in (("rev-parse", "HEAD"), ("ls-files", "-s"), ("status", "--porcelain")))
    remote = digest(person.root / ".ascl/remote")
    said = person.ascl(*ALONE)
    assert [path.name for path in person.key_files()] == ["ada-trainer.pem", "ada.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in person.key_files()} == {0o600}
    assert all(str(path) in said for path in person.key_files())
    assert git(person.root, "rev-list", f"{head}..HEAD").count("\n") == 0, "one commit, that of the keys"
    assert git(person.root, "diff", "--name-only", head, "HEAD") == "data/trust/keys.yaml"
    assert git(person.root, "status", "--porcelain") == changed
    assert [line for line in git(person.root, "ls-files", "-s").splitlines() if "data/trust" not in line] == index.splitlines()
    release = verify_release(person.root, "release/1")
    assert release.record.in_both_roles == ("ada",)
    assert (release.trainer, release.approvals[0].approver, release.approvals[0].reason) == ("ada-trainer", "ada", "the first checkpoint")
    assert "one person did all of it: ada approved it and signed it" in said
    assert "records in its log: set ASCL_TRAINER_KEY" in said
    assert "one person did all of it: ada" in person.ascl("release", "show")
    assert git(tmp_path / "origin", "for-each-ref") == ""
    assert digest(person.root / ".ascl/remote") == remote


def test_the_second_time_it_is_that_release_and_with_push_others_have_it(released: Person, tmp_path: Path) -> None:
    before, keys = state(released.root), [digest(path) for path in released.key_files()]
    assert "this run is released already" in released.ascl(*ALONE)
    assert (state(released.root), [digest(path) for path in released.key_files()]) == (before, keys)
    git(released.root, "init", "--quiet", "--bare", str(tmp_path / "origin"))
    git(released.root, "remote", "add", "origin", str(tmp_path / "origin"))
    released.ascl(*ALONE, "--push")
    for name in ("releases", "release/1", f"runs/{verify_release(released.root).record.run}"):
        expected = commit_of(released.root, name)
        assert expected is not None
        assert commit_of(tmp_path / "origin", name) == expected
    clone = Person(Workspace(tmp_path / "clone"), tmp_path)
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin"), "clone", "--branch", "releases")
    git(clone.root, "checkout", "--quiet", "-b", "main", commit_of(released.root, "HEAD") or "")
    clone.ascl("remote", "set", str(released.root / ".ascl/remote"))
    clone.ascl("release", "fetch", "--into", str(tmp_path / "model"))
    assert checkpoint_digest(tmp_path / "model") == digest(released.root / CHECKPOINT)


@pytest.mark.parametrize(
    ("module", "name", "after"),
    [
        pytest.param("releases.own_keys", "make_key", True, marks=pytest.mark.long),
        pytest.param("releases.own_keys", "trust_keys", True, marks=pytest.mark.long),
        pytest.param("releases.alone", "own_keys", True, marks=pytest.mark.long),
        ("releases.alone", "keep_run", True),
    ],
)
def test_killed_in_between_it_is_finished_by_the_next_call(person: Person, module: str, name: str, after: bool) -> None:
    """At the steps that it has of its own: `test_releases` kills `create_release` at each of its."""
    code = f"""
import os, signal
import tasks.{module} as module
real = module.{name}
def die(*given, **named):
    if {after}:
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
module.{name} = die
from flows.cli import app
app({list(ALONE)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=person.root, env=person.environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert commit_of(person.root, "releases") is None
    said = person.ascl(*ALONE)
    assert "signed release/1" in said
    assert verify_release(person.root).record.in_both_roles == ("ada",)
    assert len(person.key_files()) == 2
    assert git(person.root, "log", "--format=%s", "HEAD").count("Trust the keys of ada") == 1
    assert git(person.root, "worktree", "list").count("\n") == 0


def test_a_run_that_the_gate_refused_is_not_released_and_nothing_is_made(refused: Person) -> None:
    person = refused
    before = state(person.root)
    failed = [c["name"] for c in read_json(person.root / DECISION)["criteria"] if not c["passed"]]
    assert failed
    said = person.ascl(*ALONE, status=1)
    assert "the gate did not pass: " in said
    assert all(name in said for name in failed)
    assert "two people sign: ascl approve --override" in said
    assert (state(person.root), person.key_files()) == (before, [])


def test_two_people_release_the_working_tree_s_run_that_the_gate_refused(refused: Person, tmp_path: Path) -> None:
    person = refused
    files = {name: str(tmp_path / "home" / f"{name}.pem") for name in PEOPLE}
    for name, role in PEOPLE.items():
        person.ascl("keys", "new", "--role", role, "--name", name, "--file", files[name])
    person.workspace.run("git", "add", "data/trust")
    person.workspace.run("git", "commit", "--quiet", "-m", "keys")
    before = git(person.root, "rev-parse", "HEAD"), git(person.root, "status", "--porcelain"), git(person.root, "ls-files", "-s")
    for name in ("ada", "ben"):
        person.ascl("approve", "--override", "--reason", "read it", "--key", files[name], "--yes")
    said = person.ascl("release", "create", "--key", files["ci"])
    assert "release/1 of run local-" in said
    assert "one person" not in said
    assert verify_release(person.root).record.in_both_roles == ()
    assert before == (git(person.root, "rev-parse", "HEAD"), git(person.root, "status", "--porcelain"), git(person.root, "ls-files", "-s"))


def test_what_is_not_committed_or_not_finished_is_not_released(person: Person) -> None:
    before = git(person.root, "for-each-ref")
    file = person.root / "data/rules/NVC.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    (person.root / "ascl_core/more.py").write_text("", encoding="utf-8")
    said = person.ascl(*ALONE, status=1)
    assert "not committed: data/rules/NVC.yaml, ascl_core/more.py; a release must name a commit" in said
    (person.root / "ascl_core/more.py").unlink()
    person.workspace.run("git", "commit", "--quiet", "-m", "a comment", "data/rules")
    said = person.ascl(*ALONE, status=1)
    assert "the run is not finished: validate_rules is not up to date (data/rules changed)" in said
    assert (git(person.root, "for-each-ref", "refs/heads/runs", "refs/heads/releases"), person.key_files()) == ("", [])
    assert before.count("\n") == git(person.root, "for-each-ref").count("\n")


def test_where_others_decide_one_person_alone_adds_no_key(released: Person, tmp_path: Path) -> None:
    before = state(released.root)
    eve = Person(released.workspace, tmp_path)
    said = eve.ascl("release", "alone", "--name", "eve", "--reason", "mine", status=1)
    assert "ada decide here already: one person alone cannot add a key" in said
    assert (state(released.root), eve.key_files()) == (before, [])


def test_a_record_that_hides_who_did_all_of_it_does_not_hold(released: Person) -> None:
    """Ada signs a release of hers with a key that names nobody else, and people say later whose it is."""
    file = released.root / "data/trust/keys.yaml"
    text = file.read_text(encoding="utf-8")
    assert "  person: ada\n" in text
    file.write_text(text.replace("  person: ada\n", ""), encoding="utf-8")
    released.workspace.run("git", "commit", "--quiet", "-m", "hide it", "data/trust")
    git(released.root, "update-ref", "-d", "refs/heads/releases")
    git(released.root, "tag", "--delete", "release/1")
    keys = {f"ASCL_{role}_KEY": str(released.home / f".config/ascl/keys/{name}.pem") for role, name in HERS}
    done = subprocess.run(["ascl", *ALONE], cwd=released.root, env={**released.environment, **keys}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert verify_release(released.root).record.in_both_roles == ()
    file.write_text(text, encoding="utf-8")
    released.workspace.run("git", "commit", "--quiet", "-m", "say it", "data/trust")
    assert "does not say that ada approved it and signed it, too" in released.ascl("release", "verify", status=1)


HERS = (("APPROVER", "ada"), ("TRAINER", "ada-trainer"))


# --- afterwards


def test_after_the_release_a_flipped_verdict_is_planned_as_such_on_the_branch_where_people_work(released: Person) -> None:
    """The test of the tutorial runs all of it."""
    assert "released: release/1" in released.ascl("status")
    forbid(released.workspace)
    before = git(released.root, "status", "--porcelain")
    plan = json.loads(released.ascl("plan", "--json"))
    assert (plan["class"], plan["reasons"]) == ("verdict", ["NVC-03 flips the verdict of 2 examples"])
    run = {step["stage"] for step in plan["steps"] if step["action"] == "run"}
    assert run == VERDICT | {"gate"}, "the gate reads what is released"
    assert read_json(released.root / "data/compiled/change.json")["class"] == "structural", "planning wrote nothing"
    released.ascl("release", "sync")
    for stage in (VALIDATE_RULES, GATE):
        assert bring_up_to_date(stage, root=released.root).action == "ran"
    assert read_json(released.root / "data/compiled/change.json")["class"] == "verdict"
    assert read_json(released.root / DECISION)["released"]["tag"] == "release/1"
    assert git(released.root, "status", "--porcelain") == before, "the release is no change to commit"


def test_a_new_clone_sees_the_release_and_fetches_and_asks_its_checkpoint(released: Person, tmp_path: Path) -> None:
    released.ascl("push")
    git(tmp_path, "clone", "--quiet", str(released.root), "clone")
    clone = Person(Workspace(tmp_path / "clone"), tmp_path)
    assert commit_of(clone.root, "refs/heads/releases") is None
    assert "released: release/1" in clone.ascl("status")
    forbid(clone.workspace)
    assert json.loads(clone.ascl("plan", "--json"))["class"] == "verdict"
    assert "release/1" in clone.ascl("release", "list")
    assert "verified" in clone.ascl("release", "verify", "release/1")
    clone.ascl("remote", "set", str(released.root / ".ascl/remote"))
    clone.ascl("release", "fetch", "--into", str(tmp_path / "model"))
    assert checkpoint_digest(tmp_path / "model") == digest(released.root / CHECKPOINT)
    assert clone.ascl("chat", "release/1", "--prompt", "Hello").strip()
    kept = list((clone.root / ".ascl/checkpoints").glob("*/release-1"))
    assert [digest(folder) for folder in kept] == [checkpoint_digest(tmp_path / "model")]
    (kept[0] / "config.json").write_text("{}")
    assert clone.ascl("chat", "release/1", "--prompt", "Hello").strip(), "a damaged copy is fetched anew"
    assert "no such release" in clone.ascl("chat", "release/7", "--prompt", "Hello", status=1)


@pytest.mark.long
def test_a_clone_that_is_behind_fetches_first_and_says_where_it_cannot(released: Person, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(released.root), "clone")
    clone = Person(Workspace(tmp_path / "clone"), tmp_path)
    released.root.rename(tmp_path / "away")
    for command in (("release", "list"), ("status",), ("plan",)):
        said = clone.ascl(*command)
        assert said.count("origin cannot be reached: what follows is as of 20") == 1, command
    assert "release/1" in clone.ascl("status")
    (tmp_path / "away").rename(released.root)
    second = second_release(released)
    assert f"released: {second}" in clone.ascl("status")
    assert second in clone.ascl("release", "list").splitlines()[1]


def second_release(person: Person) -> str:
    """Run again with other thresholds, and release that, too."""
    decide_again(person)
    person.ascl("release", "alone", "--name", "ada", "--reason", "asked for more")
    return "release/2"


def decide_again(person: Person) -> None:
    """Finish the run with other thresholds."""
    write_params(person.root, None, ["gate.significance=0.01"])
    person.workspace.run("git", "commit", "--quiet", "-m", "ask for more", "params.yaml")
    person.ascl("release", "sync")
    for stage in (VALIDATE_RULES, GATE, REPORT):
        bring_up_to_date(stage, root=person.root)


def test_changed_answers_have_a_cause_and_an_evaluation_that_is_done_is_not_repeated(released: Person) -> None:
    forbid(released.workspace)
    for stage in ("validate_rules", "index_rules"):
        released.ascl("stages", "run", stage)
    cells = released.root / "scratch/causes"
    found = json.loads(released.ascl("release", "causes", "--json"))
    assert found["prompts"] > 20
    assert {cause for cause, number in found["causes"].items() if number} <= {"rules"}, "the weights are those of the release"
    assert sum(found["causes"].values()) == found["changed"]
    done = {path: path.stat().st_mtime_ns for path in cells.glob("*/results.parquet")}
    assert len(done) == 2, "under the old and the new rules: the same weights answer once"
    said = released.ascl("release", "causes")
    assert f"answers that differ: {found['changed']} of {found['prompts']} prompts" in said
    assert done == {path: path.stat().st_mtime_ns for path in cells.glob("*/results.parquet")}
    assert "--against: is no release" in " ".join(released.ascl("release", "causes", "--against", "data/models/sft", status=1).split())


def test_why_answers_changed_is_shown_signed_and_kept_in_the_release(released: Person, tmp_path: Path) -> None:
    """Other thresholds change no answer: `tests/unit/test_answer_causes.py` has counts by cause and rule."""
    file, keys = tmp_path / "causes.json", released.home / ".config/ascl/keys"
    decide_again(released)
    run = json.loads(released.ascl("release", "causes", "--json"))
    assert (run["schema"], run["about"]["release"]) == ("ascl.causes/1", "release/1")
    file.write_text(json.dumps(run), encoding="utf-8")
    approve = ("approve", "--reason", "the same answers", "--key", str(keys / "ada.pem"), "--yes", "--causes", str(file))
    said = released.ascl(*approve)
    assert f"why answers changed since release/1, by a file with SHA-256 {digest(file)}" in said
    released.ascl("release", "create", "--key", str(keys / "ada-trainer.pem"))
    [approval] = verify_release(released.root, "release/2").approvals
    assert approval.causes
    assert (approval.causes.prompts, approval.causes.changed, approval.causes.sha256) == (run["prompts"], 0, digest(file))
    for command in ("show", "verify"):
        assert f"ada signed why answers changed since release/1, by a file with SHA-256 {digest(file)}" in released.ascl("release", command)
    assert not verify_release(released.root, "release/1").approvals[0].causes
    file.write_text(json.dumps({**run, "about": {**run["about"], "suites": "0" * 64}}), encoding="utf-8")
    refused = " ".join(released.ascl(*approve, status=1).split())
    assert "about.suites: is about another candidate" in refused
