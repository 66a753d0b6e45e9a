"""Files that desktops, editors and tools leave are neither code nor rules; a file with rules is read, or named as not read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ascl_core.artifacts import digest
from ascl_core.config.rules import RulesConfig
from ascl_core.rules.compile import check_folder
from ascl_core.rules.lock import write_lock
from ascl_core.stray import PATTERNS, is_stray
from tasks.registry.code import code_files
from tasks.registry.stages import SFT
from tasks.repository import cache
from tasks.repository.git import git
from tests.builders import make_rule_values, write_rules

ROOT = Path(__file__).parents[2]
STRAYS = (
    *(".DS_Store", ".CYB.yaml.swp", "CYB.yaml~", "CYB.yaml.orig", "#CYB.yaml#", "4913", "Thumbs.db", "._CYB.yaml", "CYB.yaml.bak"),
    *(".ipynb_checkpoints/CYB-checkpoint.yaml", "__pycache__/CYB.yaml", ".idea/rules.yaml", ".#CYB.yaml"),
)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    write_rules(tmp_path / "rules", {"CYB.yaml": [make_rule_values()]})
    write_lock(tmp_path / "rules")
    return tmp_path / "rules"


@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_file_changes_neither_rules_nor_digests(rules: Path, name: str) -> None:
    before = (check_folder(rules, RulesConfig()), digest(rules, source=True), cache.md5(rules, source=True))
    (rules / name).parent.mkdir(exist_ok=True)
    shutil.copyfile(rules / "CYB.yaml", rules / name)
    assert (check_folder(rules, RulesConfig()), digest(rules, source=True), cache.md5(rules, source=True)) == before


def test_the_lock_of_an_editor_is_no_link_out_of_the_folder(rules: Path) -> None:
    before = check_folder(rules, RulesConfig())
    (rules / ".#CYB.yaml").symlink_to("/me@host.123")
    assert check_folder(rules, RulesConfig()) == before


def test_dvc_ignores_the_same_files(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.repo import Repo

    root = rules.parent / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    shutil.copyfile(ROOT / ".dvcignore", root / ".dvcignore")
    shutil.copytree(rules, root / "data" / "rules")
    for name in STRAYS:
        (root / "data" / "rules" / name).parent.mkdir(exist_ok=True)
        (root / "data" / "rules" / name).write_text("x")
    monkeypatch.chdir(root)
    with Repo(".") as repo:
        listed = {Path(found).name for _, _, files in repo.dvcignore.walk(repo.fs, str(root / "data" / "rules")) for found in files}
    assert listed == {file.name for file in rules.iterdir()}
    ignored = (ROOT / ".dvcignore").read_text().splitlines()
    assert {f"/data/rules/**/{pattern}".replace("/#", "/\\#") for pattern in PATTERNS} <= set(ignored)


@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_file_in_a_package_is_no_code(tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "ascl_core", tmp_path / "ascl_core", ignore=shutil.ignore_patterns("__pycache__"))
    before = code_files(tmp_path, SFT)
    file = tmp_path / "ascl_core" / "sft" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    assert code_files(tmp_path, SFT) == before
    (tmp_path / "ascl_core" / "sft" / "wanted.json").write_text("{}")
    assert "ascl_core/sft/wanted.json" in code_files(tmp_path, SFT)


@pytest.mark.parametrize("name", ["EXTRA.YAML", "EXTRA.Yml", "EXTRA.json", "EXTRA.JSON", "below/EXTRA.yml"])
def test_a_file_with_rules_is_read_whatever_the_case_of_its_name(rules: Path, name: str) -> None:
    write_rules(rules / "more", {"new.yaml": [make_rule_values(id="CYB-77")]})
    (rules / name).parent.mkdir(exist_ok=True)
    (rules / "more" / "new.yaml").rename(rules / name)
    files = {finding.file for finding in check_folder(rules, RulesConfig()).findings}
    assert name in files  # the lock lacks the new rule


@pytest.mark.parametrize("name", ["EXTRA.txt", "EXTRA.yaml.txt", "EXTRA", "EXTRA.toml", "below/rules.csv", "EXTRA.yaml.gz"])
def test_a_file_that_is_not_read_is_named(rules: Path, name: str) -> None:
    (rules / name).parent.mkdir(exist_ok=True)
    shutil.copyfile(rules / "CYB.yaml", rules / name)
    (finding,) = [one for one in check_folder(rules, RulesConfig()).findings if one.code == "not_read"]
    assert (finding.file, finding.severity) == (name, "warning")


def test_no_file_of_this_repository_is_stray_but_hidden_ones() -> None:
    files = [Path(name) for name in git(ROOT, "ls-files", "ascl_core", "data/rules", "data/raw").splitlines()]
    assert files
    assert [file for file in files if is_stray(file)] == []
