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

from tasks.runs import ended_runs, read_run
from tests.demo import PEOPLE, REASON, sign, trust
from tests.pipeline.conftest import _finished  # noqa: F401
from tests.pipeline.workspace import Workspace, wait_until
from tests.services.prefect_server import Deployed, deployed

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)
PATIENCE_MS = 120_000
_DRAWN_MS = 20_000
"""By then the graph of a run is drawn, which no element of the page tells."""


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of the system's Chromium that reaches this machine alone."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 1900})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield page
        browser.close()


@pytest.fixture
def server(_finished: Workspace, tmp_path: Path) -> Iterator[Deployed]:  # noqa: F811
    """A finished workspace with keys, deployed."""
    workspace = _finished.copy(tmp_path / "workspace")
    trust(workspace, tmp_path / "keys")
    with deployed(workspace) as server:
        yield server


def shoot(name: str, what: Locator, height: int | None = None) -> None:
    """Keep a picture of it, or of its upper part, in the folder that `ASCL_SCREENSHOTS` names; none where nothing does."""
    if folder := os.environ.get("ASCL_SCREENSHOTS"):
        what.page.wait_for_timeout(_DRAWN_MS)
        box = what.bounding_box()
        assert box
        clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": height or box["height"]}
        what.page.screenshot(path=Path(folder) / f"{name}.png", clip=clip)  # type: ignore[arg-type]


def open_form(page: Page, server: Deployed, deployment: str) -> None:
    """Go to the form in which a run of the deployment is started."""
    found = server.ask("GET", f"/deployments/name/{deployment}")["id"]
    page.goto(f"{server.url.removesuffix('/api')}/v2/deployments/deployment/{found}/run", wait_until="domcontentloaded")
    for drawn in (page.get_by_text("Work Queue"), page.get_by_role("button", name="Submit")):
        expect(drawn).to_be_visible()


def press_submit(page: Page) -> str:
    """Start the run as the form has it and go to its page; its id. Pressed again, as by a person, where nothing happens."""
    started = page.get_by_role("link", name="View run")
    for _ in range(3):
        page.get_by_role("button", name="Submit").click()
        with suppress(TimeoutError):
            started.wait_for(timeout=40_000)
            break
    started.click()
    page.wait_for_url(re.compile("/runs/flow-run/"))
    return re.findall("flow-run/([0-9a-f-]{36})", page.url)[0]


def see(page: Page, server: Deployed, run_id: str, state: str) -> None:
    """Wait until the run's page shows the state; loaded anew, as Prefect's page follows no run that is scheduled when it opens."""
    server.wait(run_id, state)
    page.reload(wait_until="domcontentloaded")
    for told in (state, "Beginning flow run"):
        expect(page.get_by_text(told).first).to_be_visible()


def test_a_person_fills_the_forms_sees_the_gate_reads_the_report_and_approves(server: Deployed, page: Page, tmp_path: Path) -> None:
    main, root = page.locator("main").last, server.workspace.root
    with server.worker(trainer_key=tmp_path / "keys" / "trainer.pem") as worker:
        open_form(page, server, "retrain/retrain")
        page.get_by_label(re.compile("^Retries")).fill("1")
        shoot("retrain-form", main, 1800)
        retraining = press_submit(page)
        see(page, server, retraining, "Gate: not passed")
        assert server.read(retraining)["parameters"]["form"]["limits"]["retries"] == 1, "what was filled in is what ran"
        shoot("retrain-run", main, 900)

        [run_id] = ended_runs(root)
        digest = read_run(root, run_id)["checkpoint"]["sha256"]
        page.get_by_role("tab", name="Artifacts").click()
        page.get_by_role("link", name=re.compile("report.*The gate and the figures")).click()
        page.get_by_role("link", name=re.compile("^[0-9a-f]{8}$")).click()
        for told in ("Gate: not passed.", run_id, digest, "Over-refusal, strict", "sft_context_distillation"):
            expect(page.get_by_text(told).first).to_be_visible()
        shoot("report-page", main, 1500)

        open_form(page, server, "promote/promote")
        page.get_by_label("Run", exact=True).fill(run_id)
        page.get_by_role("switch", name=re.compile("^Override")).click()
        shoot("promote-form", main, 900)
        promotion = press_submit(page)
        see(page, server, promotion, "Suspended")
        freed = f"Process for flow run '{server.read(promotion)['name']}' exited cleanly"
        wait_until(lambda: freed in worker.output, "the end of the process that suspended itself")
        expect(page.get_by_text("waits for a signed approval").first).to_be_visible()
        shoot("approval-page", main, 900)

        page.locator("main [aria-haspopup=menu]").first.click()
        page.get_by_role("menuitem", name="Resume").click()
        dialog = page.get_by_role("dialog")
        for told in ("The gate did not pass", run_id, f"ascl approve {run_id} --reason '…' --override", digest):
            expect(dialog.get_by_text(told).first).to_be_visible()
        dialog.get_by_label("Approver").fill(", ".join(PEOPLE))
        dialog.get_by_label("Reason").fill(REASON)
        dialog.get_by_label("Digest").fill(digest)
        for name in PEOPLE:
            dialog.get_by_role("button", name="Add item").click()
            dialog.get_by_role("textbox").last.fill(sign(server.workspace, run_id, tmp_path / "keys" / f"{name}.pem", override=True))
        shoot("approval-form", dialog)
        dialog.get_by_role("button", name="Resume").click()
        expect(dialog).to_be_hidden()
        see(page, server, promotion, "Released")
        shoot("released", main, 900)
    assert "release/1" in server.workspace.ascl("release", "list")
