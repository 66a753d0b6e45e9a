"""`ascl serve` and `ascl rules swap` by hand: what a change means is said first, and one beyond wording is not swapped in by itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.pipeline.workspace import Workspace, make_workspace, wait_until
from tests.served_model import make_endless
from tests.services.s3_server import free_ports

pytestmark = pytest.mark.services
COMPILE = """
from pathlib import Path
from ascl_core.artifacts import write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.rules.compile import check_folder
write_json("data/compiled/corpus.json", check_folder(Path("data/rules"), RulesConfig()).corpus.to_json())
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A repository with its own rules compiled, and a model, of which the tests look at no answer."""
    workspace = make_workspace(tmp_path_factory.mktemp("serving") / "made")
    workspace.python(COMPILE)
    make_endless(workspace.root / "data/models/ifpo")
    return workspace


@pytest.fixture
def url(workspace: Workspace) -> Iterator[str]:
    """The address of `ascl serve` in the workspace."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    running = workspace.start("ascl", "serve", "--unreleased", "--port", str(port))
    try:
        wait_until(lambda: is_ready(url) or not running.goes_on, "the start")
        yield url
        running.end(signal.SIGTERM)
        assert running.process.returncode == 0, running.output
    finally:
        running.process.kill()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def served(url: str) -> str:
    return str(httpx.get(f"{url}/v1/rules", trust_env=False).json()["digest"])


def edit(workspace: Workspace, *changes: tuple[str, str]) -> None:
    """Change the first occurrence of each text in NVC.yaml, and lock."""
    file = workspace.root / "data/rules/NVC.yaml"
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")
    workspace.ascl("rules", "lock")


def test_wording_is_swapped_in_and_more_is_refused_unless_it_is_wanted_anyway(workspace: Workspace, url: str, tmp_path: Path) -> None:
    swap = ("rules", "swap", "--url", url)
    start = served(url)
    assert "is served already" in workspace.ascl(*swap)

    edit(workspace, ("title: ", "title: Plainly, "), ("version: 1.0.0", "version: 1.0.1"))
    said = workspace.ascl(*swap)
    assert "wording: hot-swap the served rules, and evaluate" in said
    reworded = served(url)
    assert f"swapped: corpus {start[:12]} → {reworded[:12]}" in said

    edit(workspace, ("precedence: ", "precedence: 1"), ("version: 1.0.1", "version: 2.0.0"))
    said = workspace.ascl(*swap, status=1)
    assert "the change is of the class verdict: the served model was neither trained nor evaluated for it" in said
    assert "ascl run" in said
    assert served(url) == reworded
    assert "swapped" in workspace.ascl(*swap, "--anyway")
    decided = served(url)
    assert decided != reworded

    assert f"swapped: corpus {decided[:12]} → {start[:12]}" in workspace.ascl("rules", "swap", "HEAD", "--url", url, "--anyway")
    (tmp_path / "no.json").write_text("{}")
    for source, says in ((str(tmp_path / "no.json"), "Field required"), ("no-such-revision", "no such folder, file or git revision")):
        assert says in workspace.ascl("rules", "swap", source, "--url", url, status=1)
    assert served(url) == start


def test_without_a_server_or_with_another_one_there_is_one_message(workspace: Workspace) -> None:
    [port] = free_ports(1)
    for url, says in (
        (f"http://127.0.0.1:{port}", "no server answers"),
        ("ftp://x", "not an http(s) address"),
        ("http://u:p@x", "credentials"),
    ):
        said = workspace.ascl("rules", "swap", "--url", url, status=1)
        assert says in said
        assert "hint: " in said
    assert "u:p" not in said


def test_a_checkpoint_or_a_jurisdiction_that_is_not_there_is_one_message(workspace: Workspace) -> None:
    assert "the checkpoint does not exist" in workspace.ascl("serve", "data/models/nothing", status=1)
    assert "nothing is released yet" in workspace.ascl("serve", status=1)
    assert "is not released" in workspace.ascl("serve", "data/models/ifpo", status=1)
    assert "do not know the server's jurisdiction" in workspace.ascl("serve", "--unreleased", "--jurisdiction", "ZZ", status=1)
    said = workspace.ascl("serve", "--unreleased", "--host", "0.0.0.0", status=1)
    assert "ASCL_SERVE_TOKEN" in said
