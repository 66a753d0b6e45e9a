"""From a run to a release and back: what is released is what was evaluated and approved, whatever somebody tries."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import digest, write_json
from ascl_core.errors import AsclError, ReleaseError
from ascl_core.released import checkpoint_digest
from flows.cli import app
from tasks.evidence.statements import Envelope
from tasks.evidence.trust import Role, new_key, read_key
from tasks.registry.paths import TRUSTED_KEYS
from tasks.registry.stages import CHECKPOINT
from tasks.releases import history
from tasks.releases.approvals import sign_approval
from tasks.releases.candidate import Candidate, candidate
from tasks.releases.create import create_release
from tasks.releases.fetch import fetch
from tasks.releases.verify import verify_release
from tasks.releases.weights import check_weights
from tasks.repository.git import commit_of, git
from tasks.repository.worktrees import NOBODY
from tests.pipeline.release_world import World, _made, commit, edited_run, made, no, refs, runs_lock, world, yes

__all__ = ["_made", "made", "no", "world", "yes"]


def test_a_release_holds_what_was_evaluated_who_approved_it_and_who_made_it(world: World) -> None:
    root, before = world.root, git(world.root, "rev-parse", "HEAD")
    released = world.release("yes", "ada")
    assert (released.tag, released.record.run, released.trainer) == ("release/1", "yes", "ci")
    assert commit_of(root, "refs/heads/releases") == commit_of(root, "refs/tags/release/1") == released.commit
    assert git(root, "cat-file", "-t", "refs/tags/release/1") == "tag"
    assert git(root, "rev-parse", f"{released.commit}^@") == commit_of(root, "runs/yes")
    names = git(root, "ls-tree", "-r", "--name-only", released.commit, "--", "data/release/").splitlines()
    assert {name.removeprefix("data/release/") for name in names if "/approvals/" not in name} == {
        *("release.json", "results.parquet", "statement.json", "model_card.md", "data_card.md"),
        *(f"corpora/{name}.json" for name in ("sft", "rl", "served")),
        "index/manifest.json",
    }
    assert released.record.checkpoint.sha256 in git(root, "show", "release/1:data/release/model_card.md")
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
    with pytest.raises(ReleaseError, match=r"the gate compared with no release, but the current release is release/1") as found:
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
    text = (root / TRUSTED_KEYS).read_text()
    (root / TRUSTED_KEYS).write_text(text.replace(f"  name: {name}\n", f"  name: {name}\n  revoked: lost\n"))
    assert text != (root / TRUSTED_KEYS).read_text()
    commit(root, f"revoke {name}")


def test_a_release_that_was_edited_or_whose_keys_were_revoked_does_not_hold(world: World) -> None:
    released, root = world.release("yes", "ada"), world.root
    revoke(root, "ada")
    with pytest.raises(ReleaseError, match="ada's key is revoked"):
        verify_release(root)
    assert verify_release(root, even_revoked=True) == released
    for name, message in (
        ("data/release/results.parquet", r"SHA-256 is \w+, and ci signed \w+"),
        ("data/release/approvals/more.json", r"SHA-256 is \w+, and ci signed None"),
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
    git(worktree, "commit", "--quiet", "-m", "edited", environment=NOBODY)
    git(root, "update-ref", "refs/heads/releases", git(worktree, "rev-parse", "HEAD"))
    git(root, "worktree", "remove", "--force", str(worktree))


def _promote(root: Path, keys: Path, run: str, names: tuple[str, ...], envelopes: list[Envelope], start: Any, said: Any) -> None:
    start.wait()
    try:
        said.put((run, create_release(root, run, envelopes, World(root, keys).key("ci")).tag))
    except AsclError as error:
        said.put((run, str(error)))


def test_of_two_promotions_at_a_time_one_wins_and_the_other_is_refused(world: World, yes: Candidate, no: Candidate) -> None:
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
        pytest.param("repository.transfer", "push", False, False, marks=pytest.mark.long),
        pytest.param("releases.create", "write_content", True, False, marks=pytest.mark.long),
        pytest.param("releases.history", "_push", True, False, marks=pytest.mark.long),
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
    with pytest.raises(ReleaseError, match="origin refused the push, so nothing is released"):
        history.move(second.root, first.record.commit, first.commit, tag="release/2")
    assert verify_release(second.root) == first
    assert history.tags(second.root) == ["release/1"]


def test_a_pickle_where_safetensors_belong_is_refused_under_every_name(world: World, tmp_path: Path) -> None:
    import pickle

    for name in ("pytorch_model.bin", "training_args.pt", "x.pkl", "model.safetensors", "modeling.py", "model-00001-of-00002.safetensors"):
        folder = tmp_path / "checkpoint"
        shutil.copytree(world.root / CHECKPOINT, folder)
        check_weights(folder)
        (folder / name).write_bytes(pickle.dumps({"weight": [1.0]}))
        with pytest.raises(ReleaseError, match=r"may not be in a released checkpoint|is not safetensors inside"):
            check_weights(folder)
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(ReleaseError, match="has no safetensors file"):
        check_weights(folder)
    (folder / "model.safetensors").symlink_to(world.root / CHECKPOINT / "model.safetensors")
    with pytest.raises(ReleaseError, match="a link could lead elsewhere"):
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
    assert checkpoint_digest(tmp_path / "model") == digest(world.root / CHECKPOINT)
    refused = CliRunner().invoke(app, ["approve", "refused", "--reason", "x"], input="n\n")
    assert refused.exit_code == 1
    assert not (world.root / ".ascl/approvals/refused").exists()
