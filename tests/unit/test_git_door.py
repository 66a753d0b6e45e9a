"""One door to git: no setting, variable or hook changes what is read or written, and a refusal is an error with git's reason."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ascl_core.errors import WorkspaceError
from tasks.evidence.provenance import git_state
from tasks.evidence.trust import read_trust
from tasks.releases import history
from tasks.repository import new_project
from tasks.repository.git import commit_of, export, git, is_ancestor, resolve, show, unmerged
from tasks.repository.git_checks import git_checks, path_check
from tasks.repository.params_file import write_params
from tasks.repository.worktrees import NOBODY

SETTINGS = {
    "line ends": "[core]\n autocrlf = true\n eol = crlf\n safecrlf = true\n",
    "diff": "[diff]\n external = false\n noprefix = true\n context = 9\n algorithm = patience\n mnemonicPrefix = true\n renames = copies\n",
    "colours": "[color]\n ui = always\n[core]\n quotePath = true\n abbrev = 20\n pager = false\n",
    "status": "[status]\n short = true\n branch = true\n showUntrackedFiles = no\n relativePaths = false\n",
    "signing": "[commit]\n gpgSign = true\n[tag]\n gpgSign = true\n[gpg]\n program = false\n",
    "ignored files": "[core]\n excludesFile = {home}/ignore\n",
    "attributes": '[core]\n attributesFile = {home}/attributes\n[diff "odd"]\n command = false\n textconv = false\n',
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a commit and an edited, an added and a removed file."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home" / "gitconfig"))
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "kept.txt").write_text("one\ntwo\nthree\n")
    (root / "gone.txt").write_text("gone\n")
    (root / "ünïcode.txt").write_text("a\n")
    commit(root)
    (root / "kept.txt").write_text("one\n2\nthree\n")
    (root / "gone.txt").unlink()
    (root / "ünïcode.txt").write_text("b\n")
    (root / "new.txt").write_text("new\n")
    return root


def commit(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=a", environment=NOBODY)
    return str(commit_of(root, "HEAD"))


def set_globally(text: str) -> None:
    home = Path(os.environ["HOME"])
    (home / "gitconfig").write_text(text.replace("{home}", str(home)))
    (home / "ignore").write_text("new.txt\n")
    (home / "attributes").write_text("* text eol=crlf diff=odd\n")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_persons_settings_change_neither_the_record_nor_the_bytes(root: Path, tmp_path: Path, name: str) -> None:
    before, listed = git_state(root), git(root, "status", "--porcelain")
    set_globally(SETTINGS[name])
    assert (git_state(root), git(root, "status", "--porcelain")) == (before, listed)
    git(root, "worktree", "add", "--detach", str(tmp_path / "worktree"), "HEAD")
    for file in (tmp_path / "worktree" / "kept.txt", export(root, "HEAD", Path("kept.txt"), tmp_path / "exported")):
        assert file.read_bytes() == b"one\ntwo\nthree\n"
    head = commit(root)
    assert show(root, head, Path("kept.txt")) == b"one\n2\nthree\n"


def test_the_repository_keeps_its_own_line_ends_in_every_clone() -> None:
    assert "* -text" in (Path(__file__).parents[2] / ".gitattributes").read_text().splitlines()


@pytest.mark.parametrize("hook", ["post-checkout", "pre-commit", "reference-transaction", "post-index-change"])
def test_no_hook_runs(root: Path, tmp_path: Path, hook: str) -> None:
    file = root / ".git" / "hooks" / hook
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    file.chmod(0o755)
    git(root, "worktree", "add", "--detach", str(tmp_path / "worktree"), "HEAD")
    commit(root)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES"])
def test_no_variable_names_another_repository(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    before = git_state(root)
    monkeypatch.setenv(variable, str(tmp_path))
    assert git_state(root) == before
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.worktree")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tmp_path))
    assert git_state(root) == before


def refuse(root: Path, how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if how == "configuration":
        (root / ".git" / "config").write_text("[core\n")
    elif how == "setting":
        set_globally("[core]\n bare = perhaps\n")
    else:
        wrapper = tmp_path / "bin" / "git"
        wrapper.parent.mkdir()
        real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
        wrapper.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")


@pytest.mark.parametrize("how", ["configuration", "setting", "owner"])
def test_a_refusal_is_never_read_as_nothing_is_there(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    (root / "params.yaml").write_text("sft: {max_steps: 3}\n")
    (root / "profiles").mkdir()
    (root / "profiles" / "tiny.yaml").write_text("sft: {max_steps: 4}\n")
    refuse(root, how, monkeypatch, tmp_path)
    asked = [
        lambda: commit_of(root, "release/1"),
        lambda: resolve(root, "main"),
        lambda: show(root, "HEAD", Path("x"), missing=b""),
        lambda: git_state(root),
        lambda: history.tags(root),
        lambda: read_trust(root),
        lambda: write_params(root, "tiny"),
    ]
    for ask in asked:
        with pytest.raises(WorkspaceError, match=r"bad config|bad boolean|bad numeric|dubious ownership") as raised:
            ask()
        assert "git init" not in str(raised.value)
    (check,) = git_checks(root)
    assert check.level == "error"
    assert "git init" not in check.hint


def test_a_shallow_clone_does_not_know_which_commit_is_older(root: Path, tmp_path: Path) -> None:
    older, newer = str(commit_of(root, "HEAD")), commit(root)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{root}", str(tmp_path / "shallow"))
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth=1", "origin", older)
    with pytest.raises(WorkspaceError, match="shallow"):
        is_ancestor(tmp_path / "shallow", older, newer)
    assert is_ancestor(root, older, newer)


def test_a_server_that_refuses_a_push_is_quoted(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "server")
    hook = tmp_path / "server" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'branches need a ticket' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(WorkspaceError, match="branches need a ticket"):
        git(root, "push", "--quiet", str(tmp_path / "server"), "HEAD:refs/heads/main")


@pytest.mark.parametrize(
    ("ref", "named"),
    [
        ("refs/heads/releases/2026.1", "releases/2026.1 leaves no room for releases"),
        ("refs/remotes/origin/releases/v1", "releases/v1 at origin leaves no room for releases"),
        ("refs/heads/runs", "runs leaves no room for runs/…"),
        ("refs/remotes/origin/runs", "runs at origin leaves no room for runs/…"),
        ("refs/tags/release", "release leaves no room for release/…"),
    ],
)
def test_a_ref_in_the_way_is_found_before_training(root: Path, ref: str, named: str) -> None:
    commit(root)
    git(root, "update-ref", ref, "HEAD")
    errors = [check for check in git_checks(root) if check.level == "error"]
    assert [error.found.partition(", which")[0] for error in errors] == [named]
    if "origin" not in ref:
        subprocess.run(errors[0].hint, shell=True, cwd=root, check=True, capture_output=True)
        assert [check.level for check in git_checks(root)] == ["ok"]


def test_the_refs_that_the_pipeline_makes_are_not_in_its_way(root: Path) -> None:
    commit(root)
    for ref in ("heads/releases", "heads/runs/local-1", "tags/release/1", "remotes/origin/releases", "remotes/origin/runs/local-1"):
        git(root, "update-ref", f"refs/{ref}", "HEAD")
    assert [check.level for check in git_checks(root)] == ["ok"]


def test_a_branch_of_a_team_under_releases_does_not_stop_an_approval(root: Path) -> None:
    git(root, "branch", "releases/2026.1")
    with pytest.raises(Exception, match="nobody may approve"):
        read_trust(root)


def test_a_folder_of_a_larger_repository_is_refused(root: Path) -> None:
    (root / "safety").mkdir()
    (check,) = git_checks(root / "safety")
    assert (check.level, "must be a repository of its own" in check.found) == ("error", True)


def test_a_submodule_and_a_worktree_are_repositories_of_their_own(root: Path, tmp_path: Path) -> None:
    commit(root)
    git(tmp_path, "init", "--quiet", "larger")
    git(tmp_path / "larger", "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(root), "safety")
    git(root, "worktree", "add", "--quiet", "--detach", str(tmp_path / "worktree"))
    for repository in (tmp_path / "larger" / "safety", tmp_path / "worktree"):
        assert [check.level for check in git_checks(repository)] == ["ok"]


@pytest.mark.parametrize("character", ["#", "?", ",", "%", ":", "\n", "\udcff"])
def test_a_path_that_tools_read_as_something_else_is_refused(tmp_path: Path, character: str) -> None:
    check = path_check(tmp_path / f"a{character}b")
    check.found.encode()
    assert check.level == "error"
    assert ascii(character) in check.found
    assert path_check(tmp_path / "a folder-für (1)").level == "ok"


def test_a_merge_that_is_not_finished_is_named_with_its_files(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "theirs")
    commit(root)
    git(root, "checkout", "--quiet", "main")
    (root / "kept.txt").write_text("other\n")
    commit(root)
    with pytest.raises(WorkspaceError):
        git(root, "merge", "theirs", environment=NOBODY)
    assert unmerged(root) == ["kept.txt"]
    (check,) = git_checks(root)
    assert re.search("conflicts in kept.txt", check.found)


def test_a_new_project_does_not_copy_credentials_of_the_clone(root: Path, tmp_path: Path) -> None:
    git(root, "remote", "add", "origin", "https://ada:secret@git.example.org/ascl.git")
    new_project._clone(root, tmp_path / "made")
    assert git(tmp_path / "made", "remote", "get-url", "upstream") == "https://git.example.org/ascl.git"


@pytest.mark.parametrize("path", ["HEAD:kept.txt", "HEAD:../../etc/passwd", "HEAD:", ":kept.txt"])
def test_a_path_in_a_commit_is_no_commit(root: Path, path: str) -> None:
    assert resolve(root, path) is None
