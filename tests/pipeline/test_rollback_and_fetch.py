"""What is done with a release: an earlier one is released again, and a deployment gets its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ascl_core.artifacts import digest
from ascl_core.errors import ReleaseError
from ascl_core.released import checkpoint_digest
from tasks.evidence.log import entries
from tasks.evidence.statements import APPROVAL, RELEASE, ROLLBACK
from tasks.registry.paths import COMMITTED_LOG
from tasks.releases import history
from tasks.releases.candidate import candidate
from tasks.releases.fetch import fetch
from tasks.releases.rollback import rollback
from tasks.releases.verify import verify_release
from tasks.repository.git import git, show
from tasks.repository.worktrees import NOBODY
from tasks.runs import runs
from tests.once import make_once
from tests.pipeline.damage import flip
from tests.pipeline.release_world import PASSING, World, _made, refs, run_to_the_end, weights_in_cache

__all__ = ["_made"]


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
    assert git(root, "diff", "--name-only", "release/1", "releases").splitlines() == [str(COMMITTED_LOG), "data/release/rollback.json"]
    logged = [show(root, commit, COMMITTED_LOG) for commit in ("release/1", "releases")]
    assert logged[1].startswith(logged[0])
    assert [entry.statement.kind for entry in entries(logged[1], file=COMMITTED_LOG)][-3:] == [APPROVAL, RELEASE, ROLLBACK]
    assert rollback(root, "release/1", "again", after.key("ada")) == back
    with pytest.raises(ReleaseError, match="the gate compared with no release, but the current release is release/1"):
        after.release("yes", "ada")
    forward = rollback(root, "release/2", "it was the server", after.key("ben"))
    assert (forward.tag, history.next_tag(root)) == ("release/2", "release/3")
    git(root, "update-ref", "refs/heads/releases", replayed(root, back.commit, forward.commit))
    with pytest.raises(ReleaseError, match="signed the rollback"):
        verify_release(root)


def replayed(root: Path, old: str, parent: str) -> str:
    """The files of an earlier rollback, as a new commit."""
    tree = git(root, "rev-parse", f"{old}^{{tree}}")
    return git(root, "commit-tree", tree, "-p", parent, "-m", "replay", environment=NOBODY)


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
    fetch(root, tmp_path / "with_card", "release/1", with_card=True)
    assert (tmp_path / "with_card" / "README.md").read_bytes() == show(root, "release/1", Path("data/release/model_card.md"))
    assert checkpoint_digest(tmp_path / "with_card") == released.record.checkpoint.sha256
    shutil.rmtree(tmp_path / "with_card")
    with pytest.raises(ReleaseError, match="is there already"):
        fetch(root, into)
    file = weights_in_cache(root, "next")
    flip(file)
    file.chmod(0o444)
    with pytest.raises(ReleaseError, match=r"SHA-256 of data/models/ifpo is \w{64}, but release/2 says \w{64}"):
        fetch(root, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after", "model"], "nothing half-done is left"
