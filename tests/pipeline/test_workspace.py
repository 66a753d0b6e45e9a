"""A workspace for tests has the code of the checkout that it is made from, and nothing else of that checkout's state."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ascl_core.artifacts import read_yaml, sha256_file, write_json, write_text
from tests.corpus import RAW, RULES
from tests.pipeline.workspace import REPOSITORY, Workspace, copy_code, make_workspace

pytestmark = pytest.mark.live
STRAY = {
    "dvc.lock": yaml.safe_dump({"schema": "2.0", "stages": {"curate": {"cmd": "x", "outs": [{"path": "data/prompts", "md5": "0" * 32}]}}}),
    "params.yaml": "sft: {max_steps: 3}\n",
    "dvc.yaml": "stages: {}\n",
    ".dvc/config": "[core]\n    remote = ours\n['remote \"ours\"']\n    url = s3://somebody/else\n",
    ".dvc/config.local": "[core]\n    remote = mine\n",
    "data/rules/OWN.yaml": "rules: []\n",
    "data/raw/safety.yaml": "seeds: []\n",
    "data/released/release.json": '{"tag": "release/7"}\n',
    "data/trust/keys.yaml": "keys: []\n",
    "data/prompts/prompts.parquet": "rows",
    "data/notes.txt": "to do",
    ".ascl": "no folder",
    "comparison/a.json": "{}",
    ".DS_Store": "\0",
    "ascl_core/rules/.DS_Store": "\0",
    "ascl_core/rules/.checks.py.swp": "\0",
    "ascl_core/rules/.#checks.py": "me@here",
    "ascl_core/rules/checks.py~": "before",
    "ascl_core/rules/checks.py.orig": "before",
    "ascl_core/rules/__pycache__/checks.cpython-311.pyc": "\0",
    "tests/.idea/workspace.yaml": "a: 1\n",
    "flows/core.1234": "\0",
}
"""What may lie about in somebody's checkout, by path."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Made from a checkout after a run and other work, in which there is a new file of code, too."""
    checkout = tmp_path_factory.mktemp("used") / "checkout"
    copy_code(REPOSITORY, checkout)
    write_text(checkout / "ascl_core/new_module.py", '"""New, and not added to git yet."""\n')
    for path, text in STRAY.items():
        write_text(checkout / path, text)
    return make_workspace(tmp_path_factory.mktemp("made") / "workspace", checkout)


def committed(workspace: Workspace) -> set[str]:
    """The paths in its one commit."""
    return set(workspace.run("git", "ls-tree", "-r", "--name-only", "HEAD").splitlines())


def test_what_lies_about_in_the_checkout_is_not_in_the_workspace_and_new_code_is(made: Workspace) -> None:
    there = committed(made)
    assert there & STRAY.keys() == {"params.yaml", "dvc.yaml", ".dvc/config", "data/raw/safety.yaml"}
    assert all((made.root / path).read_text(encoding="utf-8") != text for path, text in STRAY.items() if path in there)
    assert not [path for path in STRAY.keys() - there if (made.root / path).exists() and path != ".ascl"]
    assert "ascl_core/new_module.py" in there


def test_its_rules_and_seeds_are_the_frozen_ones_and_nothing_is_released(made: Workspace) -> None:
    for there, frozen in (("data/rules", RULES), ("data/raw", RAW)):
        assert {file.name: sha256_file(file) for file in (made.root / there).iterdir()} == {
            file.name: sha256_file(file) for file in frozen.iterdir()
        }
    assert [file.name for file in (made.root / "data/released").iterdir()] == [".gitignore"]


def test_its_parameters_its_stages_and_its_rules_are_in_order(made: Workspace) -> None:
    assert read_yaml(made.root / "params.yaml")["sft"]["max_steps"] == 24
    assert "dvc.yaml is up to date" in made.ascl("stages", "check")
    assert ", 0 warnings" in made.ascl("rules", "check")
    assert made.ascl("remote", "show").count("s3://") == 0
    assert made.run("git", "status", "--porcelain") == ""


def test_all_code_that_git_knows_is_in_the_workspace(made: Workspace) -> None:
    known = subprocess.run(["git", "ls-files", "-z", "ascl_core", "tasks", "flows"], cwd=REPOSITORY, capture_output=True, text=True)
    if known.returncode != 0:
        pytest.skip("the code is in no git repository here")
    assert {path for path in known.stdout.split("\0") if path and (REPOSITORY / path).exists()} <= committed(made)


def test_the_settings_of_the_person_who_runs_the_tests_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "home/.gitconfig", "[core]\n    autocrlf = true\n    hooksPath = /nowhere\n[commit]\n    gpgsign = true\n")
    write_text(tmp_path / "home/.config/dvc/config", "[cache]\n    type = symlink\n[core]\n    remote = elsewhere\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    workspace = make_workspace(tmp_path / "workspace")
    assert workspace.run("git", "config", "--get", "commit.gpgsign", status=1) == ""
    assert "elsewhere" not in workspace.run("dvc", "config", "--list")
    write_json(workspace.root / "data/more.json", {})
    assert workspace.run("git", "status", "--porcelain").split() == ["??", "data/more.json"]
