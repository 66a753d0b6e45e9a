"""From a run to a release and back: what is released is what was evaluated and approved, whatever somebody tries."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import digest, read_json, write_json
from ascl_core.errors import AsclError, ReleaseError
from flows.cli import app
from tasks.evidence.log import COMMITTED, entries
from tasks.evidence.statements import APPROVAL, RELEASE, ROLLBACK, Envelope
from tasks.evidence.trust import FILE, PrivateKey, Role, new_key, read_key, read_trust
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.parameters import write_params
from tasks.registry.stages import CHECKPOINT, EVALUATE, GATE, IFPO, REPORT, STAGES, VALIDATE_RULES
from tasks.releases import history
from tasks.releases.approvals import check_approvals, sign_approval, verify_approvals
from tasks.releases.candidate import DECISION, Candidate, candidate, examine, examined
from tasks.releases.create import create_release
from tasks.releases.fetch import fetch
from tasks.releases.rollback import rollback
from tasks.releases.verify import Release, verify_release
from tasks.releases.weights import check_weights
from tasks.repository import outputs
from tasks.repository.git import commit_of, git, show
from tasks.runs import runs
from tasks.runs.summary import run_summary
from tests.once import make_once
from tests.pipeline.workspace import Workspace

pytestmark = pytest.mark.slow

PASSING = [f"gate.{name}={value}" for name, value in (("min_safety_rate", 0), ("min_category_safety_rate", 0), ("min_utility", 0))]
PASSING += ["gate.min_valid_rate=0", "gate.min_coverage=0", "gate.max_over_refusal_rate=1"]
FAILING = ["gate.min_safety_rate=1", "gate.min_utility=1"]
PEOPLE = {"ci": Role.TRAINER, "ada": Role.APPROVER, "ben": Role.APPROVER}


@dataclass(frozen=True)
class World:
    """A repository with two ended runs: the gate said yes to `yes`, and no to `refused`; and everybody's keys."""

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
    def make(folder: Path) -> None:
        root = _finished.copy(folder / "root").root
        for name, role in PEOPLE.items():
            new_key(root, role, name, folder / "keys" / f"{name}.pem")
        commit(root, "keys")
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
    return _made.copy(tmp_path)


@pytest.fixture(scope="module")
def yes(made: World) -> Candidate:
    return candidate(made.root, "yes")


@pytest.fixture(scope="module")
def laid_out(made: World) -> Path:
    """The files of the run's commit and its outputs, for tests that leave them as they are."""
    with examined(made.root, "yes") as (_, worktree):
        return shutil.copytree(worktree, made.root.with_name("laid-out"), symlinks=True)


@pytest.fixture(scope="module")
def no(made: World) -> Candidate:
    return candidate(made.root, "refused")


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
    stage, said = EVALUATE[IFPO.name], {"value": 0.6, "low": 0.5, "high": 0.7, "n": 9, "successes": 5}
    file, record = worktree / stage.outputs["metrics"].path, read_json(worktree / stage.record.path)
    metrics = read_json(file)
    if metrics["headline"]["min_category_safety_rate"] is None:
        metrics["headline"]["min_category_safety_rate"] = said
        write_json(file, metrics)
        record["outputs"][stage.outputs["metrics"].path] = digest(file)
        write_json(worktree / stage.record.path, record)
        outputs.record(worktree, stage)


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all", "data/trust")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", message)


@contextmanager
def edited_run(root: Path, name: str) -> Iterator[Path]:
    """The files of the run's commit, to be edited; what is left of them is the commit of the run then."""
    worktree = root.parent / "edited"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), f"runs/{name}")
    yield worktree
    git(worktree, "add", "--all")
    git(worktree, "-c", "user.name=e", "-c", "user.email=e@v", "commit", "--quiet", "-m", "edited")
    git(root, "update-ref", f"refs/heads/runs/{name}", git(worktree, "rev-parse", "HEAD"))
    git(root, "worktree", "remove", "--force", str(worktree))


def cached(root: Path, md5: str) -> Path:
    return root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def weights_in_cache(root: Path, run: str) -> Path:
    """Where DVC keeps the bytes of the run's weights."""
    lock = runs_lock(root, run)
    files = json.loads(cached(root, lock["ifpo"]["outs"][CHECKPOINT]).read_text())
    return cached(root, next(f["md5"] for f in files if f["relpath"].endswith(".safetensors")))


def runs_lock(root: Path, run: str) -> dict[str, dict[str, dict[str, str]]]:
    from ascl_core.artifacts import parse_yaml

    stages = parse_yaml(git(root, "show", f"runs/{run}:dvc.lock"))["stages"]
    return {name: {kind: {e["path"]: e["md5"] for e in entry.get(kind, ())} for kind in ("deps", "outs")} for name, entry in stages.items()}


def refs(root: Path) -> str:
    return git(root, "for-each-ref")


# --- the candidate


def test_a_candidate_says_what_the_run_made_and_leaves_nothing_behind(world: World) -> None:
    before = refs(world.root)
    found = candidate(world.root, "yes")
    assert found.judged.passed
    assert found.judged.commit == commit_of(world.root, "runs/yes")
    assert found.judged.checkpoint == digest(world.root / CHECKPOINT)
    assert (found.replaces, found.change_class) == (None, None)
    assert refs(world.root) == before
    assert not list((world.root / ".ascl/releases").iterdir())
    assert git(world.root, "worktree", "list").count("\n") == 0


def test_the_candidate_that_the_gate_refused_names_the_criteria(no: Candidate) -> None:
    assert not no.judged.passed
    assert {"safety rate", "utility"} <= set(no.judged.failed)


def test_weights_that_were_swapped_in_the_cache_are_no_candidate(world: World) -> None:
    file = weights_in_cache(world.root, "yes")
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    file.chmod(0o444)
    with pytest.raises(ReleaseError, match=r"MD5 of data/models/ifpo is \w+\.dir, but dvc\.lock says \w+\.dir"):
        candidate(world.root, "yes")


def test_a_lock_that_names_other_weights_is_no_candidate(world: World) -> None:
    lock = runs_lock(world.root, "yes")
    ours, others = lock["ifpo"]["outs"][CHECKPOINT], lock["sft"]["outs"]["data/models/sft"]
    with edited_run(world.root, "yes") as worktree:
        text = (worktree / "dvc.lock").read_text()
        at = text.index(ours, text.index("\n  ifpo:"))
        (worktree / "dvc.lock").write_text(text[:at] + others + text[at + len(ours) :])
    with pytest.raises(ReleaseError, match=r"MD5 of data/models/ifpo that evaluate_ifpo read is .*, but what was written says"):
        candidate(world.root, "yes")


def test_a_lock_that_names_other_weights_for_the_evaluation_too_is_no_candidate(world: World) -> None:
    lock = runs_lock(world.root, "yes")
    ours, others = lock["ifpo"]["outs"][CHECKPOINT], lock["sft"]["outs"]["data/models/sft"]
    with edited_run(world.root, "yes") as worktree:
        (worktree / "dvc.lock").write_text((worktree / "dvc.lock").read_text().replace(ours, others))
    with pytest.raises(ReleaseError, match=r"SHA-256 of data/models/ifpo is \w{64}, but the record of ifpo says \w{64}"):
        candidate(world.root, "yes")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda said: said["checkpoint"].update(sha256="0" * 64), r"SHA-256 of data/models/ifpo is \w{64}, but data/run.json says 0{64}"),
        (lambda said: said["gate"].update(sha256="0" * 64), r"decision is \w{64}, but data/run.json says 0{64}"),
        (lambda said: said["rules"].update(digest="0" * 64), r"digest of the rules is \w{64}, but data/run.json says 0{64}"),
        (lambda said: said["gate"].update(passed=False), "does not follow from its criteria"),
        (lambda said: said.update(id="other"), "the run in the commit is other, but the branch runs/yes says yes"),
        (lambda said: said.pop("gate"), "does not say what it must"),
        (lambda said: said.update(checkpoint=None), "does not say what it must"),
    ],
)
def test_a_summary_that_was_edited_is_no_candidate(made: World, laid_out: Path, edit: Callable[[Any], object], message: str) -> None:
    said = runs.read_run(made.root, "yes")
    assert examine(laid_out, "yes", said).judged.passed
    edit(said)
    with pytest.raises(ReleaseError, match=message):
        examine(laid_out, "yes", said)


def test_the_decision_of_another_run_is_no_yes_for_this_one(world: World) -> None:
    theirs, ours = runs_lock(world.root, "yes")["gate"]["outs"], runs_lock(world.root, "refused")["gate"]["outs"]
    said = json.loads(git(world.root, "show", "runs/yes:data/run.json"))
    with edited_run(world.root, "refused") as worktree:
        text = (worktree / "dvc.lock").read_text()
        write_json(worktree / runs.SUMMARY, {**read_json(worktree / runs.SUMMARY), "gate": said["gate"]})
        (worktree / "dvc.lock").write_text(text.replace(ours[DECISION], theirs[DECISION]))
    with pytest.raises(ReleaseError, match=r"SHA-256 of data/gate/decision.json is \w{64}, but the record of gate says \w{64}"):
        candidate(world.root, "refused")


def test_rules_that_were_edited_in_the_commit_are_no_candidate(world: World) -> None:
    with edited_run(world.root, "yes") as worktree:
        (worktree / "data/rules/CYB.yaml").write_text((worktree / "data/rules/CYB.yaml").read_text() + "# one more\n")
    with pytest.raises(ReleaseError, match=r"MD5 of data/rules in the commit is .* but dvc.lock of validate_rules says"):
        candidate(world.root, "yes")


def test_weights_that_are_nowhere_any_more_are_no_candidate(world: World) -> None:
    weights = weights_in_cache(world.root, "yes")
    weights.unlink()
    assert candidate(world.root, "yes").judged.passed, "the remote has them"
    weights.unlink()
    (world.root / ".ascl" / "remote" / weights.relative_to(world.root / ".dvc" / "cache")).unlink()
    with pytest.raises(AsclError, match=r"dvc pull failed|MD5 of data/models/ifpo is"):
        candidate(world.root, "yes")


# --- approvals


def test_one_approver_suffices_where_the_gate_passed_and_a_replay_for_another_run_does_not(
    made: World, yes: Candidate, no: Candidate
) -> None:
    envelopes = made.approvals(yes, "ada")
    (approval,) = verify_approvals(made.root, yes, envelopes)
    assert (approval.approver, approval.reason, approval.override) == ("ada", "ada read it", ())
    with pytest.raises(ReleaseError, match="ada's approval is of another run: yes, and this is refused"):
        verify_approvals(made.root, no, [*made.approvals(no, "ben"), *envelopes])
    for name, value in (("checkpoint", "0" * 64), ("run", "other"), ("commit", "0" * 40), ("decision", "0" * 64)):
        other = replace(yes, judged=replace(yes.judged, **{name: value}))
        with pytest.raises(ReleaseError, match="approval is of another"):
            verify_approvals(made.root, other, envelopes)
    with pytest.raises(ReleaseError, match="1 approver must sign"):
        verify_approvals(made.root, yes, [])


def test_the_trainer_cannot_approve_and_nobody_signs_for_another(made: World, yes: Candidate) -> None:
    with pytest.raises(ReleaseError, match="ci's key has the role trainer"):
        verify_approvals(made.root, yes, [sign_approval(yes, "ci", "mine", made.key("ci"))])
    with pytest.raises(ReleaseError, match="the approval is by ben, but the key is ada's"):
        verify_approvals(made.root, yes, [sign_approval(yes, "ben", "his", made.key("ada"))])


def test_an_override_needs_two_people_who_each_list_what_failed(made: World, no: Candidate) -> None:
    ada, ben = made.approvals(no, "ada", "ben")
    assert [a.override for a in verify_approvals(made.root, no, [ada, ben])] == [no.judged.failed] * 2
    again = made.approvals(no, "ada")[0]
    for envelopes in ([ada], [ada, ada], [ada, again]):
        with pytest.raises(ReleaseError, match=r"2 approvers must sign, as these criteria failed: .*utility"):
            verify_approvals(made.root, no, envelopes)
    shorter = replace(no, judged=replace(no.judged, failed=no.judged.failed[:1]))
    with pytest.raises(ReleaseError, match="ben's approval is of another override"):
        verify_approvals(made.root, no, [ada, *made.approvals(shorter, "ben")])
    with pytest.raises(ReleaseError, match="the gate said no: "):
        sign_approval(no, "ada", "why not", made.key("ada"))


def test_an_approval_needs_a_reason_and_grows_old(made: World, yes: Candidate) -> None:
    with pytest.raises(ReleaseError, match="needs a reason"):
        sign_approval(yes, "ada", "  ", made.key("ada"))
    with pytest.raises(ReleaseError, match="nothing to override"):
        sign_approval(yes, "ada", "all the same", made.key("ada"), override=True)
    envelopes, trust, now = made.approvals(yes, "ada"), read_trust(made.root), datetime.now(UTC)
    assert check_approvals(trust, yes.judged, envelopes, now + timedelta(days=6))
    for days in (8, -1):
        with pytest.raises(ReleaseError, match="older than 7 days, or from the future"):
            check_approvals(trust, yes.judged, envelopes, now + timedelta(days=days))


# --- the release


def test_a_release_holds_what_was_evaluated_who_approved_it_and_who_made_it(world: World) -> None:
    root, before = world.root, git(world.root, "rev-parse", "HEAD")
    released = world.release("yes", "ada")
    assert (released.tag, released.record.run, released.trainer) == ("release/1", "yes", "ci")
    assert commit_of(root, "refs/heads/releases") == commit_of(root, "refs/tags/release/1") == released.commit
    assert git(root, "cat-file", "-t", "refs/tags/release/1") == "tag"
    assert git(root, "rev-parse", f"{released.commit}^@") == commit_of(root, "runs/yes")
    names = git(root, "ls-tree", "-r", "--name-only", released.commit, "--", "data/released/").splitlines()
    assert {name.removeprefix("data/released/") for name in names if "/approvals/" not in name} == {
        *("release.json", "results.parquet", "statement.json", "model_card.md", "data_card.md"),
        *(f"corpora/{name}.json" for name in ("sft", "rl", "served")),
        "index/manifest.json",
    }
    assert released.record.checkpoint.sha256 in git(root, "show", "release/1:data/released/model_card.md")
    assert verify_release(root) == verify_release(root, "release/1") == released
    assert git(root, "rev-parse", "HEAD") == before
    assert git(root, "status", "--porcelain") == git(root, "status", "--porcelain", "--untracked-files=all")
    lock = runs_lock(root, "yes")
    for stage in lock.values():
        for md5 in stage["outs"].values():
            assert (root / ".ascl/remote/files/md5" / md5[:2] / md5[2:]).exists(), "checkpoint and inputs are at the remote"


def test_a_release_is_made_once_and_the_next_run_is_compared_with_it(world: World) -> None:
    first = world.release("yes", "ada")
    before = refs(world.root)
    assert world.release("yes", "ben") == first
    assert refs(world.root) == before
    with pytest.raises(ReleaseError, match=r"the gate compared with no release, and what is released now is release/1") as found:
        world.release("refused", "ada", "ben")
    assert "evaluate again against release/1" in str(found.value)
    assert refs(world.root) == before


def test_an_override_is_released_with_both_names_and_what_failed(world: World) -> None:
    with pytest.raises(ReleaseError, match="2 approvers must sign"):
        world.release("refused", "ada")
    assert commit_of(world.root, "refs/heads/releases") is None
    released = world.release("refused", "ada", "ben")
    assert {a.approver for a in released.record.approvals} == {"ada", "ben"}
    assert released.record.gate.failed == released.approvals[0].override != ()


def test_a_run_brings_no_keys_of_its_own(world: World, tmp_path: Path) -> None:
    with edited_run(world.root, "yes") as worktree:
        new_key(worktree, Role.APPROVER, "eve", tmp_path / "eve.pem")
    eve = read_key(Role.APPROVER, tmp_path / "eve.pem")
    found = candidate(world.root, "yes")
    with pytest.raises(ReleaseError, match="signed with a key that is not trusted"):
        create_release(world.root, "yes", [sign_approval(found, "eve", "mine", eve)], world.key("ci"))


def test_a_release_is_signed_by_the_trainer_and_by_nobody_else(world: World) -> None:
    envelopes = world.approvals(candidate(world.root, "yes"), "ada")
    with pytest.raises(ReleaseError, match="this is ada's key with the role approver"):
        create_release(world.root, "yes", envelopes, world.key("ada"))
    revoke(world.root, "ci")
    with pytest.raises(ReleaseError, match="ci's key is revoked"):
        create_release(world.root, "yes", envelopes, world.key("ci"))
    assert commit_of(world.root, "refs/heads/releases") is None


def revoke(root: Path, name: str) -> None:
    text = (root / FILE).read_text()
    (root / FILE).write_text(text.replace(f"  name: {name}\n", f"  name: {name}\n  revoked: lost\n"))
    assert text != (root / FILE).read_text()
    commit(root, f"revoke {name}")


def test_a_release_that_was_edited_or_whose_keys_were_revoked_does_not_hold(world: World) -> None:
    released, root = world.release("yes", "ada"), world.root
    revoke(root, "ada")
    with pytest.raises(ReleaseError, match="ada's key is revoked"):
        verify_release(root)
    assert verify_release(root, even_revoked=True) == released
    for name, message in (
        ("data/released/results.parquet", r"SHA-256 is \w+, and ci signed \w+"),
        ("data/released/approvals/more.json", r"SHA-256 is \w+, and ci signed None"),
        ("params.yaml", "the release differs from its run yes"),
    ):
        tamper(root, released.commit, name)
        with pytest.raises(ReleaseError, match=message):
            verify_release(root, even_revoked=True)
        with pytest.raises(ReleaseError):
            fetch(root, root.parent / "model")


def tamper(root: Path, commit: str, name: str) -> None:
    """Have the head of the releases be a commit with that file changed."""
    worktree = root.parent / "tampered"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), commit)
    with open(worktree / name, "ab") as file:
        file.write(b"{}\n")
    git(worktree, "add", "--all", "--force", "--", name)
    git(worktree, "-c", "user.name=e", "-c", "user.email=e@v", "commit", "--quiet", "-m", "edited")
    git(root, "update-ref", "refs/heads/releases", git(worktree, "rev-parse", "HEAD"))
    git(root, "worktree", "remove", "--force", str(worktree))


def _promote(root: Path, keys: Path, run: str, names: tuple[str, ...], envelopes: list[Envelope], start: Any, said: Any) -> None:
    start.wait()
    try:
        said.put((run, create_release(root, run, envelopes, World(root, keys).key("ci")).tag))
    except AsclError as error:
        said.put((run, str(error)))


def test_of_two_promotions_at_a_time_one_wins_and_the_other_is_told(world: World, yes: Candidate, no: Candidate) -> None:
    spawn = multiprocessing.get_context("spawn")
    start, said = spawn.Barrier(2), spawn.Queue()
    racing = [(found.judged.run, names, world.approvals(found, *names)) for found, names in ((yes, ("ada",)), (no, ("ada", "ben")))]
    processes = [spawn.Process(target=_promote, args=(world.root, world.keys, *one, start, said)) for one in racing]
    for process in processes:
        process.start()
    results = dict(said.get(timeout=240) for _ in processes)
    for process in processes:
        process.join(60)
    (winner,) = [run for run, text in results.items() if text == "release/1"]
    (loser,) = [text for run, text in results.items() if run != winner]
    assert "evaluate again against release/1" in loser
    assert verify_release(world.root).record.run == winner
    assert history.tags(world.root) == ["release/1"]


def test_the_branch_does_not_move_from_where_it_no_longer_is(world: World) -> None:
    released = world.release("yes", "ada")
    before = refs(world.root)
    with pytest.raises(ReleaseError, match="another release was made meanwhile"):
        history.move(world.root, released.record.commit, None, tag="release/2")
    assert refs(world.root) == before, "no tag without its branch"


_KILLED = """
import os, signal, sys
from pathlib import Path
import tasks.{module} as module
real = module.{name}
def die(*given, **named):
    if {after}:
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
module.{name} = die
from ascl_core.artifacts import read_json
from tasks.releases.create import create_release
from tasks.evidence.trust import Role, read_key
create_release(Path(sys.argv[1]), "yes", [read_json(sys.argv[3])], read_key(Role.TRAINER, Path(sys.argv[2])))
"""


@pytest.mark.parametrize(
    ("module", "name", "after", "released"),
    [
        ("repository.transfer", "push", False, False),
        ("releases.create", "write_content", True, False),
        ("releases.history", "_push", True, False),
        ("releases.history", "move", True, True),
    ],
)
def test_a_release_that_is_killed_at_any_step_is_whole_or_not_there_and_is_finished_by_the_next_call(
    world: World, yes: Candidate, tmp_path: Path, module: str, name: str, after: bool, released: bool
) -> None:
    git(world.root, "init", "--quiet", "--bare", str(tmp_path / "origin"))
    git(world.root, "remote", "add", "origin", str(tmp_path / "origin"))
    (approval,) = world.approvals(yes, "ada")
    write_json(tmp_path / "ada.json", approval)
    code = _KILLED.format(module=module, name=name, after=after)
    files = [str(world.root), str(world.keys / "ci.pem"), str(tmp_path / "ada.json")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, *files], cwd=world.root, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (commit_of(world.root, "refs/heads/releases") is not None) is released
    if released:
        assert verify_release(world.root).tag == "release/1"
        git(world.root, "tag", "-d", "release/1")  # as if it had died between the branch and the tag
    again = create_release(world.root, "yes", [approval], world.key("ci"))
    assert again == verify_release(world.root, "release/1")
    assert history.tags(world.root) == ["release/1"]
    there = git(tmp_path / "origin", "for-each-ref", "--format=%(refname) %(objectname)")
    assert there == git(world.root, "for-each-ref", "--format=%(refname) %(objectname)", *there_names(there))
    assert {"refs/heads/releases", "refs/heads/runs/yes", "refs/tags/release/1"} == set(there_names(there))
    assert git(world.root, "worktree", "list").count("\n") == 0


def there_names(listed: str) -> list[str]:
    return [line.split()[0] for line in listed.splitlines()]


def test_another_clone_that_released_first_wins_and_the_release_here_is_refused(world: World, tmp_path: Path) -> None:
    git(world.root, "init", "--quiet", "--bare", str(tmp_path / "origin"))
    git(world.root, "remote", "add", "origin", str(tmp_path / "origin"))
    shutil.copytree(world.root, tmp_path / "second", symlinks=True)
    first = world.release("yes", "ada")
    second = World(tmp_path / "second", world.keys)
    with pytest.raises(ReleaseError, match="evaluate again against release/1"):
        second.release("refused", "ada", "ben")
    assert verify_release(second.root) == first, "it knows now what is released"
    with pytest.raises(ReleaseError, match="origin did not take it, and nothing is released"):
        history.move(second.root, first.record.commit, first.commit, tag="release/2")
    assert verify_release(second.root) == first
    assert history.tags(second.root) == ["release/1"]


# --- afterwards


@pytest.fixture(scope="session")
def twice(_made: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two releases, the second compared with the first."""

    def make(folder: Path) -> None:
        world = _made.copy(folder)
        world.release("yes", "ada")
        run_to_the_end(world.root, "next", PASSING)
        runs.collect(world.root, keep=0)
        found = candidate(world.root, "next")
        assert (found.replaces, found.change_class) == ("release/1", "none")
        assert world.release("next", "ben").tag == "release/2"

    return World(make_once(tmp_path_factory, "two-releases", make) / "root", _made.keys)


@pytest.fixture
def after(twice: World, tmp_path: Path) -> World:
    shutil.copytree(twice.root, tmp_path / "after", symlinks=True)
    return World(tmp_path / "after", twice.keys)


def test_a_rollback_releases_the_earlier_one_again_and_says_who_and_why(after: World) -> None:
    root = after.root
    second = verify_release(root)
    assert second.record.replaces == "release/1"
    back = rollback(root, "release/1", "refuses too much", after.key("ada"))
    assert back == verify_release(root)
    assert back.rollback is not None
    assert (back.tag, back.rollback.approver, back.rollback.left, back.rollback.reason) == (
        "release/1",
        "ada",
        "release/2",
        "refuses too much",
    )
    assert git(root, "rev-parse", f"{back.commit}^@") == second.commit, "nothing that was released is forgotten"
    assert git(root, "diff", "--name-only", "release/1", "releases").splitlines() == [str(COMMITTED), "data/released/rollback.json"]
    logged = [show(root, commit, COMMITTED) for commit in ("release/1", "releases")]
    assert logged[1].startswith(logged[0])
    assert [entry.statement.kind for entry in entries(logged[1], file=COMMITTED)][-3:] == [APPROVAL, RELEASE, ROLLBACK]
    assert rollback(root, "release/1", "again", after.key("ada")) == back
    with pytest.raises(ReleaseError, match="the gate compared with no release, and what is released now is release/1"):
        after.release("yes", "ada")
    forward = rollback(root, "release/2", "it was the server", after.key("ben"))
    assert (forward.tag, history.next_tag(root)) == ("release/2", "release/3")
    git(root, "update-ref", "refs/heads/releases", replayed(root, back.commit, forward.commit))
    with pytest.raises(ReleaseError, match="another rollback"):
        verify_release(root)


def replayed(root: Path, old: str, parent: str) -> str:
    """The files of an earlier rollback, as a commit of now."""
    tree = git(root, "rev-parse", f"{old}^{{tree}}")
    return git(root, "-c", "user.name=e", "-c", "user.email=e@v", "commit-tree", tree, "-p", parent, "-m", "replay")


def test_a_rollback_needs_an_approver_a_reason_and_a_release(after: World) -> None:
    before = refs(after.root)
    for tag, reason, key, message in (
        ("release/1", "x", "ci", "this is ci's key with the role trainer"),
        ("release/1", " ", "ada", "needs a reason"),
        ("release/7", "x", "ada", "no such release"),
        ("--all", "x", "ada", "no such release"),
    ):
        with pytest.raises(ReleaseError, match=message):
            rollback(after.root, tag, reason, after.key(key))
    assert refs(after.root) == before


def test_a_deployment_gets_the_weights_that_were_signed_or_none(after: World, tmp_path: Path) -> None:
    root, into = after.root, tmp_path / "model"
    released = fetch(root, into, "release/1")
    assert digest(into) == released.record.checkpoint.sha256
    with pytest.raises(ReleaseError, match="is there already"):
        fetch(root, into)
    file = weights_in_cache(root, "next")
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    file.chmod(0o444)
    with pytest.raises(ReleaseError, match=r"SHA-256 of data/models/ifpo is \w{64}, but release/2 says \w{64}"):
        fetch(root, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after", "model"], "nothing half-done is left"


def test_a_pickle_where_safetensors_belong_is_refused_under_every_name(world: World, tmp_path: Path) -> None:
    import pickle

    for name in ("pytorch_model.bin", "training_args.pt", "x.pkl", "model.safetensors", "modeling.py", "model-00001-of-00002.safetensors"):
        folder = tmp_path / "checkpoint"
        shutil.copytree(world.root / CHECKPOINT, folder)
        check_weights(folder)
        (folder / name).write_bytes(pickle.dumps({"weight": [1.0]}))
        with pytest.raises(ReleaseError, match=r"does not belong into a released checkpoint|no safetensors inside"):
            check_weights(folder)
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(ReleaseError, match="a checkpoint without safetensors"):
        check_weights(folder)
    (folder / "model.safetensors").symlink_to(world.root / CHECKPOINT / "model.safetensors")
    with pytest.raises(ReleaseError, match="a link lead away"):
        check_weights(folder)


def test_the_whole_way_on_the_command_line(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("ASCL_APPROVER_KEY", str(world.keys / "ada.pem"))
    monkeypatch.setenv("ASCL_TRAINER_KEY", str(world.keys / "ci.pem"))
    secret = (world.keys / "ada.pem").read_text().splitlines()[1]

    def ascl(*words: str, given: str = "") -> str:
        result = CliRunner().invoke(app, list(words), input=given, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert secret not in result.output
        return result.output

    assert "ada" in ascl("keys", "list")
    assert "nothing is released yet" in ascl("release", "list")
    shown = ascl("approve", "yes", "--reason", "read it", given="y\n")
    assert all(word in shown for word in ("gate: passed", "over-refusal", "safety rate", digest(world.root / CHECKPOINT)))
    assert "release/1" in ascl("release", "create", "yes")
    for command in (("show",), ("show", "release/1"), ("verify",), ("list",)):
        assert "release/1" in ascl("release", *command)
    ascl("release", "fetch", "--into", str(tmp_path / "model"))
    assert digest(tmp_path / "model") == digest(world.root / CHECKPOINT)
    refused = CliRunner().invoke(app, ["approve", "refused", "--reason", "x"], input="n\n")
    assert refused.exit_code == 1
    assert not (world.root / ".ascl/approvals/refused").exists()
