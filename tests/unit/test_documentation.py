"""The pages that people read: every page is listed, every link leads somewhere, and what is made from code is up to date."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
from pathlib import Path

import pytest
import typer

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.config.params import Params
from ascl_core.config.rules import RulesConfig
from ascl_core.data.sources import load_source
from ascl_core.errors import WorkspaceError
from ascl_core.rules.compile import check_folder
from flows.cli import app
from flows.cli.file_reference import files_page
from flows.cli.reference import GROUPS, _commands, api_page, commands_page
from tasks.repository.git import git
from tests.corpus import RAW, RULES
from tests.pages import PAGES, ROOT, prose, steps

WRITTEN = [page for page in PAGES if page.name not in ("configuration.md", "suites.md", "arms.md", "commands.md", "api.md", "files.md")]
"""Those that people write; the others are made from code."""
OF_OTHERS = {"072062c", "0034333", "0006b2b", "0814436"}
"""Commits of other projects that decision 9 read."""
DIGESTS = {"8e4cdfad", "1f9ca86f3346"}
"""A row and an index of rules that pages name in a sentence."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_of_the_repository_and_a_heading_in_it(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+://", target):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT), f"{target} leads out of the repository"
        assert file.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), f"{target}: no such heading"


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", index)}
    assert {page for page in PAGES if page.name != "index.md"} <= listed


def test_the_list_of_commands_is_that_of_the_command_line() -> None:
    assert (ROOT / "docs/commands.md").read_text(encoding="utf-8") == commands_page(), "run: python -m flows.cli.reference"
    assert "## Others" not in commands_page(), "enter the new command under a heading of GROUPS"
    assert len(set(sum(GROUPS.values(), ()))) == len(sum(GROUPS.values(), ()))


@pytest.mark.parametrize(("when", "function"), [("always", "refreshed_root("), ("if they are about a release", "root_for(")])
def test_the_page_of_releases_names_the_commands_that_ask_origin(when: str, function: str) -> None:
    page = (ROOT / "docs/releases.md").read_text(encoding="utf-8")
    [line] = re.findall(rf"^- {when}.*$", page, re.MULTILINE)
    commands = dict(_commands(typer.main.get_command(app), ""))
    asking = {name for name, command in commands.items() if function in inspect.getsource(inspect.unwrap(command.callback))}
    assert set(re.findall("`([^`]+)`", line)) == asking


def test_the_reference_of_functions_is_that_of_their_docstrings() -> None:
    assert (ROOT / "docs/api.md").read_text(encoding="utf-8") == api_page(), "run: python -m flows.cli.reference"


def test_the_reference_of_files_is_that_of_the_models() -> None:
    page = files_page()
    assert (ROOT / "docs/files.md").read_text(encoding="utf-8") == page, "run: python -m flows.cli.reference"
    assert "|  |" not in page, "a field has no description"


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_numbers_are_written_as_people_write_them(page: Path) -> None:
    assert re.findall(r"(?<![\w.])\.\d+\b", prose(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", [page for page in WRITTEN if page.name not in ("extending.md", "CHANGELOG.md")], ids=name_of)
def test_every_path_of_the_code_is_there(page: Path) -> None:
    named = re.findall(r"`((?:flows|tasks|ascl_core|tests|benchmarks|profiles)/[\w/.-]+)`", page.read_text(encoding="utf-8"))
    made_up = {"profiles/mine.yaml", "profiles/accelerate/STRATEGY.yaml"}
    assert [path for path in named if not (ROOT / path).exists() and path not in made_up] == []


def test_every_commit_that_a_page_names_is_in_the_history() -> None:
    try:
        history = git(ROOT, "rev-list", "HEAD").split()
        shallow = git(ROOT, "rev-parse", "--is-shallow-repository") == "true"
    except WorkspaceError:
        pytest.skip("there is no git history here")
    if shallow or len(history) == 1:
        pytest.skip("the clone has not the whole history: git fetch --unshallow")
    named = {
        (name_of(page), commit)
        for page in WRITTEN
        for commit in re.findall(r"(?<![\w/.-])(?=[0-9a-f]*\d)[0-9a-f]{7,40}(?![\w-])", prose(page.read_text(encoding="utf-8")))
        if commit not in OF_OTHERS | DIGESTS
    }
    assert len(named) > 5
    assert {(page, commit) for page, commit in named if not any(known.startswith(commit) for known in history)} == set()


def test_the_readme_fits_three_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_python_of_the_examples_is_python() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/extending.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 8
    for block in blocks:
        ast.parse(f"{{{block}}}" if block.startswith('"') and not block.startswith('"""') else block)  # a line of a registry


def test_the_tutorial_has_commands_to_run() -> None:
    assert sum(step.command is not None for step in steps((ROOT / "docs/tutorial.md").read_text(encoding="utf-8"))) > 10


def test_the_examples_of_prompts_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/prompts.md").read_text(encoding="utf-8")
    [table], [settings, seeds] = (re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) for kind in ("csv", "yaml"))
    monkeypatch.chdir(tmp_path)
    for name, text in (("data/mine.csv", table), ("seeds/safety.yaml", seeds), ("sources.yaml", settings)):
        write_text(tmp_path / name, text)
    shutil.copy(RAW / "utility.yaml", tmp_path / "seeds")
    corpus = check_folder(RULES, RulesConfig()).corpus
    assert corpus is not None
    own, mine, public = Params.model_validate(read_yaml(tmp_path / "sources.yaml")).curate.sources
    assert [row.prompt_type for row in load_source(mine, tmp_path, corpus)] == ["borderline", "harmful", "sensitive"]
    assert public.path is not None
    violent = [row for row in load_source(own, tmp_path / "seeds", corpus) if row.rule_id == "VIO-01"]
    assert len(violent) == 2 * 2 * 2  # frames, actions, objects
