"""What is read of a commit is its bytes, and what differs from it on disk is found, whatever git is set to hide."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ascl_core.errors import WorkspaceError
from tasks.evidence.provenance import git_state
from tasks.repository.changes import changes_from_head
from tasks.repository.git import commit_of, export, git, is_ancestor, show
from tasks.repository.git_checks import git_checks
from tasks.repository.worktrees import NOBODY
from tasks.runs.working_tree_run import require_committed

CODE = "ascl_core/text.py"
RULE = "data/rules/CYB.yaml"
LINES = b"one\n\ntwo\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with a commit, whose files are as committed."""
    root = tmp_path / "repository"
    for name in (CODE, RULE, "flows/run.sh"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(LINES)
    (root / "flows/run.sh").chmod(0o755)
    (root / ".gitignore").write_text("*.swp\n*~\n__pycache__/\n")
    (root / "data/rules/link").symlink_to("./CYB.yaml")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(root))
    commit(root)
    assert git_state(root) == {"revision": commit_of(root, "HEAD"), "dirty": False, "diff": None}
    return root


def commit(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=a", environment=NOBODY)
    return str(commit_of(root, "HEAD"))


def attribute(root: Path, file: str, line: str) -> None:
    """Give files an attribute, by a committed file or one that only this clone has."""
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(line + "\n")
    if file == ".gitattributes":
        commit(root)


@pytest.mark.parametrize("file", [".gitattributes", ".git/info/attributes"])
@pytest.mark.parametrize(
    "line", [f"{RULE} export-ignore", "data export-ignore", "*.yaml text eol=crlf", "*.yaml export-subst", "* filter=x"]
)
def test_an_export_has_every_file_of_the_commit_with_its_bytes(root: Path, tmp_path: Path, file: str, line: str) -> None:
    (root / RULE).write_bytes(b"$Format:%H$\n" + LINES)
    commit(root)
    attribute(root, file, line)
    git(root, "config", "filter.x.smudge", "tr a-z A-Z")
    rules = export(root, "HEAD", Path("data/rules"), tmp_path / "out")
    assert rules == tmp_path / "out" / "data/rules"
    assert {name.name: name.read_bytes() for name in rules.iterdir()} == dict.fromkeys(("CYB.yaml", "link"), b"$Format:%H$\n" + LINES)
    assert os.readlink(rules / "link") == "./CYB.yaml"  # noqa: PTH115


def test_an_export_keeps_modes_and_replaces_what_an_earlier_one_left(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out/flows").mkdir(parents=True)
    (tmp_path / "out/flows/run.sh").symlink_to(tmp_path / "victim")
    file = export(root, "HEAD", Path("flows/run.sh"), tmp_path / "out")
    assert (file.read_bytes(), stat.S_IMODE(file.lstat().st_mode), file.is_symlink()) == (LINES, 0o755, False)
    assert not (tmp_path / "victim").exists()
    with pytest.raises(WorkspaceError, match="no such file or folder in the commit"):
        export(root, "HEAD", Path("data/none"), tmp_path / "out")


def test_a_blob_that_is_missing_is_an_error(root: Path, tmp_path: Path) -> None:
    blob = git(root, "rev-parse", f"HEAD:{RULE}")
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(WorkspaceError, match=r"object not found - [0-9a-f]{40}\n  hint: git fsck"):
        export(root, "HEAD", Path(RULE), tmp_path / "out")


def clean_filter(root: Path) -> None:
    attribute(root, ".git/info/attributes", f"{CODE} filter=x")
    git(root, "config", "filter.x.clean", f"git cat-file blob HEAD:{CODE}")


HIDDEN: dict[str, Callable[[Path], object]] = {
    "assumed to be unchanged": lambda root: git(root, "update-index", "--assume-unchanged", CODE),
    "skipped": lambda root: git(root, "update-index", "--skip-worktree", CODE),
    "cleaned by a filter": clean_filter,
    "of a worktree elsewhere": lambda root: git(root, "config", "core.worktree", str(shutil.copytree(root, root.parent / "copy"))),
    "not compared": lambda root: attribute(root, ".git/info/attributes", "* -diff"),
}


@pytest.mark.parametrize("how", HIDDEN)
def test_an_edit_that_git_does_not_show_is_in_the_record(root: Path, how: str) -> None:
    HIDDEN[how](root)
    assert git_state(root)["dirty"] is False
    (root / CODE).write_bytes(LINES + b"three\n")
    assert list(changes_from_head(root)) == [CODE]
    assert git_state(root)["dirty"] is True
    (check,) = git_checks(root)
    assert "1 file not committed" in check.found
    with pytest.raises(WorkspaceError, match=f"not committed: {CODE}"):
        require_committed(root)


@pytest.mark.parametrize("ignored_by", [".git/info/exclude", "ascl_core/.gitignore"])
@pytest.mark.parametrize("name", ["ascl_core/more.py", "ascl_core/below/more.json", "data/rules/MORE.yaml"])
def test_new_code_that_git_ignores_is_in_the_record(root: Path, ignored_by: str, name: str) -> None:
    (root / ignored_by).parent.mkdir(exist_ok=True)
    (root / ignored_by).write_text("*\n")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("")
    for stray in ("ascl_core/.text.py.swp", "ascl_core/text.py~", "ascl_core/__pycache__/text.pyc"):
        (root / stray).parent.mkdir(exist_ok=True)
        (root / stray).write_text("")
    found = changes_from_head(root)
    assert name in found
    assert not any("text" in other for other in found)


def test_a_new_link_counts_and_another_repository_only_among_code(root: Path, tmp_path: Path) -> None:
    (root / "ascl_core/linked").symlink_to(tmp_path)
    for folder in ("vendored", "flows-of-others", "ascl_core/vendored"):
        git(tmp_path, "init", "--quiet", str(root / folder))
    assert list(changes_from_head(root)) == ["ascl_core/linked", "ascl_core/vendored/"]


def test_a_change_counts_as_it_is_on_disk_whether_it_is_staged_or_not(root: Path) -> None:
    (root / "flows/run.sh").chmod(0o644)
    (root / "flows/new.py").write_text("")
    (root / "data/rules/link").unlink()
    (root / "data/rules/link").symlink_to("../rules/CYB.yaml")
    (root / RULE).unlink()
    (root / "dvc.lock").write_text("written by the pipeline")
    before = changes_from_head(root)
    assert {name: state and state[:6] for name, state in before.items()} == {
        RULE: None,
        "data/rules/link": "120000",
        "flows/run.sh": "100644",
        "flows/new.py": "100644",
    }
    git(root, "add", "--all")
    assert changes_from_head(root) == before
    commit(root)
    assert changes_from_head(root) == {}
    (root / "dvc.lock").write_text("written again")
    assert list(changes_from_head(root)) == ["dvc.lock"]


def test_a_repository_of_sha256_and_a_submodule_are_compared_too(root: Path, tmp_path: Path) -> None:
    larger = tmp_path / "larger"
    git(tmp_path, "init", "--quiet", str(larger))
    git(larger, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "safety")
    commit(larger)
    assert changes_from_head(larger) == {}
    (larger / "safety" / CODE).write_text("edited")
    assert list(changes_from_head(larger)) == ["safety"]
    git(larger, "submodule", "--quiet", "deinit", "--force", "safety")
    assert changes_from_head(larger) == {}
    git(tmp_path, "init", "--quiet", "--object-format=sha256", str(tmp_path / "longer"))
    (tmp_path / "longer" / "a").write_text("a")
    commit(tmp_path / "longer")
    assert changes_from_head(tmp_path / "longer") == {}


def test_no_object_stands_in_for_another(root: Path, tmp_path: Path) -> None:
    first = commit_of(root, "HEAD")
    (root / RULE).write_text("other\n")
    second = commit(root)
    git(root, "replace", f"{first}:{RULE}", f"{second}:{RULE}")
    git(root, "replace", "--graft", second)
    assert show(root, str(first), Path(RULE)) == LINES
    assert export(root, str(first), Path(RULE), tmp_path / "out").read_bytes() == LINES
    assert is_ancestor(root, str(first), second)
    (root / ".git/info").mkdir(exist_ok=True)
    (root / ".git/info/grafts").write_text(f"{second}\n")
    assert is_ancestor(root, str(first), second)
