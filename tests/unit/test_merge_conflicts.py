"""A merge conflict is called one in every file that git merges, with a fix that git accepts while the file is unmerged."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, read_yaml
from ascl_core.config.params import load_params
from ascl_core.config.rules import RulesConfig
from ascl_core.conflicts import conflict_line
from ascl_core.errors import AsclError, WorkspaceError
from ascl_core.rules.compile import check_folder
from ascl_core.rules.lock import LOCK_FILE, read_lock
from tasks.evidence.log import entries
from tasks.registry.paths import COMMITTED_LOG as LOG
from tasks.registry.paths import TRUSTED_KEYS as KEYS
from tasks.repository.dvc_lock import is_truncated, read_stages, refuse_conflicts
from tasks.repository.git import commit_of, git
from tasks.repository.remotes import read_settings
from tasks.repository.worktrees import NOBODY

LOCK = "schema: '2.0'\nstages:\n  report:\n    cmd: {0}\n    outs:\n    - path: a\n      md5: b\n"
ENTRY = '{{\n  "CYB-01": {{\n    "sha256": "{0}",\n    "version": "1.0.{1}"\n  }}\n}}\n'
LINE = '{{"seq": 0, "envelope": {0}}}\n'
SHA = "0123456789abcdef" * 4
FILES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "dvc.lock": (LOCK.format("a"), LOCK.format("b"), read_stages),
    "dvc.yaml": ("stages:\n  a: 1\n", "stages:\n  a: 2\n", refuse_conflicts),
    "params.yaml": ("sft:\n  max_steps: 3\n", "sft:\n  max_steps: 4\n", lambda root: load_params(root / "params.yaml")),
    LOCK_FILE: (ENTRY.format(SHA, 1), ENTRY.format(SHA[::-1], 2), read_lock),
    str(LOG): ("", "", lambda root: list(entries((root / LOG).read_bytes(), file=root / LOG))),
    ".dvc/config": ("[core]\n    remote = a\n", "[core]\n    remote = b\n", read_settings),
    "data/run.json": ('{"id": "a"}\n', '{"id": "b"}\n', lambda root: read_json(root / "data/run.json")),
    str(KEYS): ("keys: []\n", "keys:\n  []\n", lambda root: read_yaml(root / KEYS)),
}


def commit(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message=a", environment=NOBODY)


def merged(root: Path, name: str, ours: str, theirs: str) -> None:
    """Leave the repository with a conflict in that file."""
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "other", "")
    git(root, "checkout", "--quiet", "-b", "theirs")
    commit(root, name, theirs)
    git(root, "checkout", "--quiet", "main")
    commit(root, name, ours)
    with pytest.raises(WorkspaceError):
        git(root, "merge", "--quiet", "theirs", environment=NOBODY)


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
@pytest.mark.parametrize("name", FILES)
def test_a_conflict_is_named_and_its_fix_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, style: str) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[merge]\n conflictStyle = {style}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    ours, theirs, read = FILES[name]
    merged(root, name, ours or LINE.format(1), theirs or LINE.format(2))
    with pytest.raises(AsclError, match="merge conflict") as raised:
        read(root)
    assert raised.value.field is not None
    assert raised.value.field.startswith("line ")
    fix = str(raised.value.hint).partition(";")[0]
    subprocess.run(fix, shell=True, cwd=root, check=True, capture_output=True)
    if ours:
        read(root)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=merge", environment=NOBODY)
    assert commit_of(root, "HEAD^2") == commit_of(root, "theirs")


def test_a_conflict_in_a_file_of_rules_is_a_finding_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "CYB.yaml").write_text("rules:\n<<<<<<< HEAD\n- id: A\n=======\n- id: B\n>>>>>>> theirs\n")
    findings = [(one.code, one.file, one.line) for one in check_folder(tmp_path, RulesConfig()).findings]
    assert ("merge_conflict", "CYB.yaml", 2) in findings


def test_a_lock_with_a_conflict_is_not_taken_for_a_truncated_one(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n<<<<<<< HEAD\nstages:\n=======\n>>>>>>> b\n")
    assert not is_truncated(tmp_path / "dvc.lock")


@pytest.mark.parametrize(
    "text", ["a: <<<<<<< b\n>>>>>>> c\n", "<<<<<<<\n", "=======\n", "<<<<<<<< x\n>>>>>>>> y\n", "  <<<<<<< a\n  >>>>>>> b\n"]
)
def test_text_that_only_looks_like_one_is_none(text: str) -> None:
    assert conflict_line(text) is None
