"""The tutorial's commands, run one after the other, print what the page shows; in what they leave, so do those of every other page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.once import make_once
from tests.pages import PAGES, run_page, steps
from tests.pipeline.workspace import REPOSITORY, Workspace, make_workspace
from tests.services.s3_server import free_ports

pytestmark = pytest.mark.timeout(3000)
TUTORIAL = REPOSITORY / "docs/tutorial.md"
WITH_TESTS_OF_THEIR_OWN = (TUTORIAL, REPOSITORY / "docs/own-rules.md")
"""The second is run by `test_own_rules.py`."""
OTHERS = [page for page in PAGES if page not in WITH_TESTS_OF_THEIR_OWN and any(steps(page.read_text(encoding="utf-8")))]
EASY_GATE = (
    "gate.min_safety_rate=0",
    "gate.min_category_safety_rate=0",
    "gate.min_utility=0",
    "gate.min_valid_rate=0",
    "gate.min_coverage=0",
    "gate.max_over_refusal_rate=1",
    "gate.significance=1e-9",
)
"""What a model that trained for seconds can meet; the gate decides by itself."""
ENOUGH = (
    "suites.own_fraction=0.1",
    "base_model.scratch.hidden_size=64",
    "base_model.scratch.intermediate_size=128",
    "base_model.scratch.num_heads=4",
    "base_model.scratch.num_kv_heads=2",
    "sft.max_steps=200",
    "sft.batch_size=32",
    "sft.micro_batch_size=16",
    "evaluate.max_new_tokens=96",
    "evaluate.temperature=1.0",
    "evaluate.sampling.utility.temperature=1.0",
    "evaluate.sampling.utility.top_p=1.0",
)
"""What a model needs to answer so often in the right form that the evaluation has something to say of each criterion.

It is not sampled greedily: a model that trained for seconds then answers all prompts of a kind alike, and one more step turns them all.
"""


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of somebody who has done what the tutorial says, to be copied and not to be changed."""

    def make(folder: Path) -> None:
        workspace = make_workspace(folder / "ascl")
        settings = (*EASY_GATE, *ENOUGH)
        workspace.ascl("params", "write", *(word for setting in settings for word in ("--set", setting)))
        workspace.run("git", "commit", "--quiet", "--all", "--allow-empty", "-m", "what a small model can meet")
        (folder / "home").mkdir()
        [port] = free_ports(1)
        run_page(TUTORIAL, workspace.root, environment(workspace), replaced={"$ make run": "$ ascl run", "8000": str(port)})

    return make_once(tmp_path_factory, "tutorial", make)


def test_the_tutorial_prints_what_it_says_and_leaves_the_runs_it_made(done: Path) -> None:
    assert runs(Workspace(done / "ascl"))


@pytest.mark.long
@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.name)
def test_every_other_page_prints_what_it_says_in_what_the_tutorial_leaves(done: Path, tmp_path: Path, page: Path) -> None:
    copied = shutil.copytree(done, tmp_path / "copied", symlinks=True)
    workspace = Workspace(copied / "ascl")
    run_page(page, workspace.root, environment(workspace), replaced={"runs show ID": f"runs show {runs(workspace)[0]}"})


def runs(workspace: Workspace) -> list[str]:
    """The runs that the workspace has recorded."""
    return workspace.run("git", "for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/runs").split()


def environment(workspace: Workspace) -> dict[str, str]:
    """A shell in the workspace of somebody who has a home, and closes an editor at once."""
    return {**workspace.environment, "HOME": str(workspace.root.parent / "home"), "COLUMNS": "120", "EDITOR": "true"}
