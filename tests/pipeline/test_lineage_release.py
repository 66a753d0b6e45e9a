"""`ascl lineage verify` of runs and releases: from their commits, the cache, the remote and signatures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ascl_core.artifacts import write_text
from ascl_core.errors import ReleaseError
from tasks.evidence.log import entries
from tasks.evidence.statements import APPROVAL, RELEASE
from tasks.evidence.trust import Role
from tasks.lineage.verify import verify
from tasks.registry.paths import COMMITTED_LOG
from tasks.registry.stages import CHECKPOINT
from tasks.releases.candidate import candidate
from tasks.releases.model_signature import sign_model, verify_model
from tasks.releases.verify import verify_release
from tasks.repository.git import git, show
from tasks.repository.worktrees import NOBODY
from tasks.runs import runs
from tests.once import make_once
from tests.pipeline.damage import error_of, flip, kept
from tests.pipeline.release_world import (
    PASSING,
    World,
    cached,
    commit,
    copy_with_keys,
    edited_run,
    run_to_the_end,
    runs_lock,
    weights_in_cache,
)
from tests.pipeline.workspace import Workspace, edit


@pytest.fixture(scope="module")
def world(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A repository with a run that is released; whoever changes it puts everything back."""

    def make(folder: Path) -> None:
        root = copy_with_keys(_finished, folder)
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(Role.TRAINER.variable, str(folder / "keys" / "ci.pem"))
            run_to_the_end(root, "yes", PASSING)
        runs.collect(root, keep=0)
        World.at(folder).release("yes", "ada")

    return World.at(make_once(tmp_path_factory, "signed-release", make)).copy(tmp_path_factory.mktemp("verify-release"))


def test_a_run_and_its_release_hold_from_their_commits_alone(world: World) -> None:
    for text in ("yes", "release/1", "released", "yes:data/prompts/prompts.parquet", "release/1:data/report"):
        verified = verify(world.root, text)
        assert verified.statements == verified.signed > 0
        assert verified.judged is (":" not in text)
        assert (verified.release is not None) is text.startswith("release")
    assert not list((world.root / ".ascl/lineage").glob("verify-*"))


def test_a_byte_that_is_flipped_in_the_cache_is_found_in_the_run(world: World) -> None:
    lock, weights = runs_lock(world.root, "yes"), weights_in_cache(world.root, "yes")
    with kept(weights):
        flip(weights)
        for text in ("yes", "release/1"):
            assert error_of(world.root, text).file == f"{CHECKPOINT}/model.safetensors"
    for stage, path in (("curate", "data/prompts/prompts.parquet"), ("gate", "data/gate/decision.json")):
        with kept(file := cached(world.root, lock[stage]["outs"][path])):
            flip(file)
            assert error_of(world.root, "release/1").file == path
    listing = cached(world.root, lock["ifpo"]["outs"][CHECKPOINT])
    with kept(listing):
        before = listing.read_bytes()
        flip(listing, 20)
        assert verify(world.root, "yes").judged
        assert listing.read_bytes() == before, "the remote's replaced it"


@pytest.mark.long
def test_what_the_cache_lacks_is_fetched_from_the_remote(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    shutil.rmtree(tmp_path / "root/.dvc/cache")
    assert verify(tmp_path / "root", "release/1").judged
    shutil.rmtree(tmp_path / "root/.dvc/cache")
    shutil.rmtree(tmp_path / "root/.ascl/remote")
    assert "cannot be fetched" in error_of(tmp_path / "root", "release/1").problem


def test_a_run_whose_commit_was_edited_does_not_hold_and_is_not_released(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root = tmp_path / "root"
    edits: list[tuple[str, str, str, str]] = [
        ("data/rules/CYB.yaml", "title:", "title: ", "data/rules/CYB.yaml"),
        ("data/run.json", '"sha256": "', '"sha256": "0', "data/run.json"),
        ("data/lineage.jsonl", '"seq": 2', '"seq": 3', "data/lineage.jsonl"),
        ("dvc.lock", "exec sh tasks/stage.sh ifpo", "exec sh tasks/stage.sh sft", "dvc.lock"),
    ]
    before = git(root, "rev-parse", "runs/yes")
    for path, old, new, named in edits:
        with edited_run(root, "yes") as worktree:
            edit(worktree / path, old, new)
        found = error_of(root, "yes")
        assert found.file == named
        with pytest.raises(ReleaseError) as refused:
            candidate(root, "yes")
        assert (refused.value.file, refused.value.problem) == (found.file, found.problem), "the same code looked"
        git(root, "update-ref", "refs/heads/runs/yes", before)
    with edited_run(root, "yes") as worktree:
        (worktree / "data/lineage.jsonl").unlink()
    assert "there is no log" in error_of(root, "yes").problem
    with pytest.raises(ReleaseError, match="there is no log"):
        candidate(root, "yes")


def test_a_release_whose_signature_does_not_hold_does_not(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root, worktree = tmp_path / "root", tmp_path / "edited"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), "release/1")
    write_text(worktree / "data/release/model_card.md", "better than it was\n")
    git(worktree, "commit", "--quiet", "--all", "-m", "edited", environment=NOBODY)
    git(root, "update-ref", "refs/heads/releases", git(worktree, "rev-parse", "HEAD"))
    error = error_of(root, "released")
    assert isinstance(error, ReleaseError)
    assert error.file == "data/release/model_card.md"
    verify(root, "release/1")


def test_the_log_of_a_release_goes_on_from_its_run_with_what_people_signed(world: World) -> None:
    run, release = (show(world.root, name, COMMITTED_LOG) for name in ("runs/yes", "release/1"))
    assert release.startswith(run)
    assert [entry.statement.kind for entry in entries(release, file=COMMITTED_LOG)][-2:] == [APPROVAL, RELEASE]
    assert verify(world.root, "release/1").statements == verify(world.root, "yes").statements + 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:-2], lines[-1]],
        lambda lines: [*lines[:-2], *lines[:-3:-1]],
        lambda lines: lines[:-2],
        lambda lines: [],
        lambda lines: [*lines, lines[-1]],
    ],
    ids=["without the release", "without the approval", "in another order", "without both", "none at all", "a line more"],
)
def test_a_release_whose_log_does_not_say_who_signed_does_not_hold(
    world: World, tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root, worktree = tmp_path / "root", tmp_path / "edited"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), "release/1")
    lines = (worktree / COMMITTED_LOG).read_bytes().splitlines(keepends=True)
    (worktree / COMMITTED_LOG).write_bytes(b"".join(damage(lines)))
    git(worktree, "commit", "--quiet", "--all", "-m", "edited", environment=NOBODY)
    git(root, "update-ref", "refs/heads/releases", git(worktree, "rev-parse", "HEAD"))
    assert error_of(root, "released").file == str(COMMITTED_LOG)
    with pytest.raises(ReleaseError, match="is not the log of the run yes with the approvals and the release after it"):
        verify_release(root)


def test_a_released_checkpoint_is_signed_for_the_tools_of_others_where_a_key_is_configured(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(world.root, tmp_path / "root", symlinks=True)
    root, checkpoint, signature = tmp_path / "root", tmp_path / "root" / CHECKPOINT, tmp_path / "model.sig"
    assert not sign_model(root, checkpoint, signature)
    private = ec.generate_private_key(ec.SECP256R1())
    key = tmp_path / "model.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("ASCL_MODEL_KEY", str(key))
    key.chmod(0o644)
    with pytest.raises(ReleaseError, match="others can read it"):
        sign_model(root, checkpoint, signature)
    key.chmod(0o600)
    with pytest.raises(ReleaseError, match="nobody is trusted to sign models"):
        sign_model(root, checkpoint, signature)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (root / "data/trust/model.pub").write_bytes(public)
    commit(root, "the key of models")
    git(root, "update-ref", "-d", "refs/heads/releases")
    git(root, "tag", "-d", "release/1")
    World(root, world.keys).release("yes", "ada")
    assert "data/release/model.sig" in git(root, "ls-tree", "-r", "--name-only", "release/1").splitlines()
    assert verify(root, "release/1").release
    assert sign_model(root, checkpoint, signature)
    files = {file.name: file for file in checkpoint.iterdir()}
    verify_model(root, files, signature.read_bytes())
    flip(checkpoint / "model.safetensors")
    with pytest.raises(ReleaseError, match=r"model\.sig: does not hold"):
        verify_model(root, files, signature.read_bytes())
    key.write_bytes((world.keys / "ci.pem").read_bytes())
    with pytest.raises(ReleaseError, match="cannot sign a model"):
        sign_model(root, checkpoint, signature)
