"""What is released: one answer in a clone, a worktree and the repository itself, whatever lies in `data/released`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import sha256_tree, write_json
from ascl_core.errors import DataError, WorkspaceError
from ascl_core.released import read_release
from flows.cli import app
from tasks.releases import history
from tasks.repository import released
from tasks.repository.git import commit_of, git, is_ancestor
from tasks.repository.released import (
    CURRENT,
    RELEASES,
    bring_up_to_date,
    is_current,
    released_commit,
    released_folder,
    released_tag,
    tracked_hint,
)

WHO = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def make_repository(root: Path, *, tracked: bool = False) -> Path:
    """A repository as this one is: its `data/released` is ignored but for the placeholder, or of old tracked."""
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / "data/released").mkdir(parents=True)
    (root / ".gitignore").write_text(".ascl/\n")
    if tracked:
        write_json(root / "data/released/release.json", {"tag": None})
    else:
        (root / "data/released/.gitignore").write_text("*\n!.gitignore\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "start", environment=WHO)
    return root


def release(root: Path, tag: str, folder: str = "data/release") -> str:
    """Have the branch `releases` go on by a commit of that tag in that folder; nothing else of the repository changes."""
    worktree = root.parent / f"{root.name}-{tag.replace('/', '-')}"
    git(root, "worktree", "add", "--quiet", "--detach", str(worktree), released_commit(root) or "HEAD")
    write_json(worktree / folder / "release.json", {"tag": tag})
    write_json(worktree / folder / "corpora/served.json", {"of": tag})
    git(worktree, "add", "--force", "--all", "--", folder)
    git(worktree, "commit", "--quiet", "-m", tag, environment=WHO)
    commit = git(worktree, "rev-parse", "HEAD")
    git(root, "worktree", "remove", "--force", str(worktree))
    git(root, "update-ref", f"refs/heads/{RELEASES}", commit)
    return commit


def clone_of(root: Path) -> Path:
    git(root.parent, "clone", "--quiet", str(root), "clone")
    return root.parent / "clone"


def test_a_clone_and_a_worktree_know_what_is_released_without_a_branch_or_a_file_of_their_own(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    assert (released_commit(root), released_tag(root), is_current(root)) == (None, None, True)
    commit = release(root, "release/1")
    clone = clone_of(root)
    git(clone, "worktree", "add", "--quiet", "--detach", str(tmp_path / "worktree"))
    for worktree in (root, clone, tmp_path / "worktree"):
        assert (released_commit(worktree), released_tag(worktree), is_current(worktree)) == (commit, "release/1", False)
        assert read_release(worktree / "data/released") == {"tag": None}, "the folder alone does not say it"


def test_the_folder_follows_the_head_and_git_sees_no_change(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    assert bring_up_to_date(root) is False
    for tag, folder in (("release/1", "data/released"), ("release/2", "data/release"), ("release/3", "data/release")):
        release(root, tag, folder)
        with released_folder(root) as folder:
            promised = sha256_tree(folder)
            assert folder != root / "data/released"
        assert bring_up_to_date(root) is True
        assert bring_up_to_date(root) is False
        assert sha256_tree(root / "data/released") == promised
        assert read_release(root / "data/released") == {"tag": tag}
        assert git(root, "status", "--porcelain", "--untracked-files=all") == ""
    assert not list((root / ".ascl/released").iterdir()), "no copy is left behind"
    git(root, "branch", "--quiet", "--delete", "--force", RELEASES)
    assert bring_up_to_date(root) is True
    assert [file.name for file in (root / "data/released").iterdir()] == [".gitignore"]


def test_to_ask_writes_nothing_into_the_working_tree(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    release(root, "release/1")
    before = sha256_tree(root / "data")
    with released_folder(root) as folder:
        assert read_release(folder) == {"tag": "release/1"}
    assert sha256_tree(root / "data") == before


@pytest.mark.parametrize("lost", ["folder", "record", "file"])
def test_a_folder_that_was_damaged_is_written_anew(tmp_path: Path, lost: str) -> None:
    root = make_repository(tmp_path / "root")
    release(root, "release/1")
    bring_up_to_date(root)
    folder = root / "data/released"
    whole = sha256_tree(folder)
    if lost == "folder":
        folder.rename(tmp_path / "away")
    else:
        (folder / {"record": "release.json", "file": "corpora/served.json"}[lost]).unlink()
    if lost != "file":
        with pytest.raises(DataError, match="no record of the newest release"):
            read_release(folder)
    assert bring_up_to_date(root) is True
    assert {name: sha for name, sha in sha256_tree(folder).items() if name != ".gitignore"} == {
        name: sha for name, sha in whole.items() if name != ".gitignore"
    }


def test_a_repository_that_tracks_the_folder_works_and_gets_one_hint(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root", tracked=True)
    assert (bring_up_to_date(root), tracked_hint(root)) == (False, None)
    release(root, "release/1")
    assert "git rm -r --cached data/released" in str(tracked_hint(root))
    assert bring_up_to_date(root) is True
    assert read_release(root / "data/released") == {"tag": "release/1"}
    assert tracked_hint(make_repository(tmp_path / "new")) is None


def test_a_head_that_is_no_release_is_an_error_and_not_an_empty_release(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    git(root, "rm", "-r", "--quiet", "--cached", "data")
    git(root, "commit", "--quiet", "-m", "no data", environment=WHO)
    git(root, "branch", RELEASES)
    with pytest.raises(WorkspaceError, match="the head of the branch releases is no release"):
        bring_up_to_date(root)


def test_a_clone_that_is_behind_catches_up_when_it_asks_and_says_when_it_could_not(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    release(root, "release/1")
    clone = clone_of(root)
    second = release(root, "release/2")
    assert released_tag(clone) == "release/1", "nothing was fetched since"
    root.rename(tmp_path / "away")
    notice = history.refresh(clone)
    assert notice is not None
    assert notice.startswith("origin cannot be reached: what follows is as of 20")
    assert released_tag(clone) == "release/1"
    (tmp_path / "away").rename(root)
    assert history.refresh(clone) is None
    assert (released_tag(clone), commit_of(clone, f"refs/heads/{RELEASES}")) == ("release/2", second)


def test_releases_of_this_repository_only_are_named_and_no_reason_to_stop(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    clone = clone_of(root)
    assert history.refresh(clone) is None, "nothing is released"
    for repository in (root, clone):
        git(repository, "commit", "--quiet", "--allow-empty", "-m", repository.name, environment=WHO)
        git(repository, "tag", "--no-sign", "release/1", release(repository, "release/1"))
    notice = history.refresh(clone)
    assert notice is not None
    assert notice.startswith("the releases here and at origin have diverged, and what follows is of this repository: decide")
    assert released_tag(clone) == "release/1"


def test_origin_that_does_not_answer_costs_seconds_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_repository(tmp_path / "root")
    release(root, "release/1")
    clone = clone_of(root)
    (tmp_path / "slow").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "slow").chmod(0o755)
    git(clone, "remote", "set-url", "origin", "ssh://nowhere.example/root")
    monkeypatch.setenv("GIT_SSH", str(tmp_path / "slow"))
    monkeypatch.setattr(history, "_QUICKLY_S", 0.2)
    assert "git ls-remote had no answer" in str(history.refresh(clone))
    assert released_tag(clone) == "release/1"


@pytest.mark.parametrize(
    "command", ["plan", "run", "status", "serve", "chat", "eval", "release list", "rules diff release/1", "rules test --changed"]
)
def test_a_command_that_reads_what_is_released_reads_it_from_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    root = make_repository(tmp_path / "root")
    (root / "pyproject.toml").touch()
    (root / "data/rules").mkdir()
    (root / "data/rules/.gitkeep").touch()
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "a repository of ours", environment=WHO)
    release(root, "release/1")
    clone = clone_of(root)
    release(root, "release/2")
    monkeypatch.chdir(clone)
    named = [CURRENT] if command in ("serve", "chat", "eval") else []
    CliRunner().invoke(app, [*command.split(), *named])  # which fails, as there is neither a record nor a model
    assert released_tag(clone) == "release/2"


def test_a_refusal_of_git_is_an_error_and_no_answer(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    for absent in ("refs/heads/none", "none", "", "0" * 40, "--all", "HEAD:data"):
        assert commit_of(root, absent) is None
    (tmp_path / "empty").mkdir()
    for asked in (
        lambda: commit_of(tmp_path / "empty", "HEAD"),
        lambda: released.released_commit(tmp_path / "empty"),
        lambda: is_ancestor(root, "0" * 40, "HEAD"),
    ):
        with pytest.raises(WorkspaceError, match=r"git .* failed"):
            asked()
