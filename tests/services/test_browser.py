"""A person and a browser: the form of retrain is filled and run, the gate is reached, the report read, promote started and approved.

With `ASCL_SCREENSHOTS=FOLDER` in the environment it keeps a picture of each step there, as those in `docs/images/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect, sync_playwright

from tasks.runs.runs import ended_runs, read_run
from tests.demo import PEOPLE, sign, trust
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
WIDTHS = (1920, 1280, 800, 390)
"""Of a large screen, a laptop, a tablet and a phone, in pixels."""
_DRAWN_MS = 20_000
"""By then the graph of a run is drawn, which no element of the page tells."""


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of the system's Chromium that reaches this machine alone."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 2200})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield page
        browser.close()


def overflowing(page: Page, within: str) -> list[str]:
    """The page itself and elements of that selector whose content is wider than they are, by class or tag."""
    found = f"[document.documentElement, ...document.querySelectorAll('{within}')]"
    return list(page.evaluate(f"{found}.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className || e.tagName)"))


@pytest.fixture
def server(_finished: Workspace, tmp_path: Path) -> Iterator[Deployed]:  # noqa: F811
    """A finished workspace with keys, deployed."""
    workspace = _finished.copy(tmp_path / "workspace")
    trust(workspace, tmp_path / "keys")
    with deployed(workspace) as server:
        yield server


def shoot(page: Page, name: str, height: int, left: int = 256, top: int = 0, width: int = 1024) -> None:
    """Keep a picture of a part of the page in the folder that `ASCL_SCREENSHOTS` names; none where nothing does."""
    if folder := os.environ.get("ASCL_SCREENSHOTS"):
        page.wait_for_timeout(_DRAWN_MS)
        page.screenshot(path=Path(folder) / f"{name}.png", clip={"x": left, "y": top, "width": width, "height": height})


def field(within: Page | Locator, name: str) -> Locator:
    """The innermost field of a form with that name."""
    page = within if isinstance(within, Page) else within.page
    label = page.locator(".schema-form-property__label", has_text=re.compile(rf"^{name}( \(Optional\))?$"))
    return within.locator(".schema-form-property").filter(has=label).last


def open_form(page: Page, server: Deployed, deployment: str) -> None:
    """Go to the form in which a run of the deployment is started."""
    found = server.ask("GET", f"/deployments/name/{deployment}")["id"]
    page.goto(f"{server.url.removesuffix('/api')}/deployments/deployment/{found}/run", wait_until="domcontentloaded")


def submit(page: Page) -> str:
    """Start the run as the form has it, and go to its page; its id. As a person, press once more where a busy server let nothing happen."""
    started = page.get_by_role("button", name="View run").last
    for _ in range(3):
        page.get_by_role("button", name="Submit").click()
        with suppress(TimeoutError):
            started.wait_for(timeout=30_000)
            break
    started.click()
    page.wait_for_url(re.compile("/runs/flow-run/"))
    return re.findall("flow-run/([0-9a-f-]{36})", page.url)[0]


def see(page: Page, server: Deployed, run_id: str, state: str) -> None:
    """Wait until the run is in the state, and its page shows so by itself."""
    server.wait(run_id, state)
    expect(page.get_by_text(state, exact=True).first).to_be_visible()


def test_a_person_fills_the_forms_sees_the_gate_reads_the_report_and_approves(server: Deployed, page: Page, tmp_path: Path) -> None:
    root = server.workspace.root
    with server.worker(trainer_key=tmp_path / "keys" / "trainer.pem"):
        open_form(page, server, "retrain/retrain")
        retries = field(page, "Retries").get_by_role("spinbutton")
        retries.fill("1")
        retries.press("Tab")
        shoot(page, "retrain-form", 1880)
        retraining = submit(page)
        see(page, server, retraining, "Gate: not passed")
        assert [run["parameters"]["form"]["limits"]["retries"] for run in server.runs("retrain")] == [1], "what was filled in is what ran"
        shoot(page, "retrain-run", 900)

        [run_id] = ended_runs(root)
        digest = read_run(root, run_id)["checkpoint"]["sha256"]
        page.get_by_role("tablist").get_by_text("Artifacts").click()
        page.get_by_text("report", exact=True).first.click()
        for expected in ("Gate: not passed.", run_id, digest, "Over-refusal, strict", "sft context distillation"):
            expect(page.get_by_text(expected).first).to_be_visible()
        shoot(page, "report-page", 1250)

        open_form(page, server, "promote/promote")
        field(page, "Run id").get_by_role("textbox").fill(run_id)
        field(page, "Release although the gate did not pass").get_by_role("switch").click()
        shoot(page, "promote-form", 900)
        promotion = submit(page)
        see(page, server, promotion, "Suspended")
        server.wait_until_suspended(promotion)
        assert server.read(promotion)["name"] == f"promote-{run_id}"
        expect(page.get_by_text("waits for a signed approval").first).to_be_visible()

        page.get_by_role("button", name="Resume").click()
        dialog = page.get_by_role("dialog")
        for expected in ("The gate did not pass", run_id, f"ascl approve {run_id} --reason '…' --override", digest[:32], digest[32:]):
            expect(dialog.get_by_text(expected).first).to_be_visible()
        approvals = field(dialog, "Signed approvals")
        for count, name in enumerate(PEOPLE):
            approvals.get_by_role("button", name="Add item").click()
            text = sign(server.workspace, run_id, tmp_path / "keys" / f"{name}.pem", override=True)
            approvals.get_by_role("textbox").nth(count).fill(text)
        shoot(page, "approval-page", 1660)
        dialog.get_by_role("button", name="Submit").click()
        expect(dialog).to_be_hidden()
        see(page, server, promotion, "Released")
        shoot(page, "released", 900)
    assert "release/1" in server.workspace.ascl("release", "list")
