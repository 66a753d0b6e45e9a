"""A person and a browser: the form of retrain is filled and run, the run reaches the gate, promote is approved, the report is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tasks.runs import ended_runs, read_run
from tests.demo import PEOPLE, REASON, sign, trust
from tests.pipeline.conftest import _finished  # noqa: F401
from tests.pipeline.workspace import Workspace
from tests.services.prefect_server import Deployed, deployed

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)
PATIENCE_MS = 120_000


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of the system's Chromium that reaches this machine alone."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 1800})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


@pytest.fixture
def server(_finished: Workspace, tmp_path: Path) -> Iterator[Deployed]:  # noqa: F811
    """A finished workspace with keys, deployed."""
    workspace = _finished.copy(tmp_path / "workspace")
    trust(workspace, tmp_path / "keys")
    with deployed(workspace, tmp_path / "server") as server:
        yield server


def test_a_person_fills_the_form_sees_the_gate_approves_and_reads_the_report(server: Deployed, page: Page, tmp_path: Path) -> None:
    base, root = server.url.removesuffix("/api"), server.workspace.root
    with server.worker(trainer_key=tmp_path / "keys" / "trainer.pem"):
        retrain = server.ask("GET", "/deployments/name/retrain/retrain")["id"]
        page.goto(f"{base}/v2/deployments/deployment/{retrain}/run", wait_until="domcontentloaded")
        page.get_by_label(re.compile("^Retries")).fill("1")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url(re.compile("/runs/flow-run/"))
        expect(page.get_by_text("Gate: not passed").first).to_be_visible(timeout=900_000)
        [started] = server.runs("retrain")
        assert started["parameters"]["form"]["limits"]["retries"] == 1, "what was filled in is what ran"
        page.get_by_role("tab", name="Artifacts").click()
        page.get_by_text("report", exact=True).first.click()
        expect(page.get_by_text("Gate: not passed").first).to_be_visible()

        [run_id] = ended_runs(root)
        promotion = server.start("promote/promote", {"run": run_id, "override": True})
        server.wait(promotion, "PAUSED")
        signed = [sign(server.workspace, run_id, tmp_path / "keys" / f"{name}.pem", override=True) for name in PEOPLE]
        page.goto(f"{base}/v2/runs/flow-run/{promotion}", wait_until="domcontentloaded")
        page.get_by_role("button", name="Resume").first.click()
        page.get_by_label(re.compile("^Approver")).fill(" and ".join(PEOPLE))
        page.get_by_label(re.compile("^Reason")).fill(REASON)
        page.get_by_label(re.compile("^Digest")).fill(read_run(root, run_id)["checkpoint"]["sha256"])
        for approval in signed:
            page.get_by_role("button", name=re.compile("Add item")).click()
            page.get_by_role("textbox").last.fill(approval)
        page.get_by_role("button", name=re.compile("Submit|Resume")).last.click()
        server.wait(promotion, "COMPLETED")
    assert "release/1" in server.workspace.ascl("release", "list")
