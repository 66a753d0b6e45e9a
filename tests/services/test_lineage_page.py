"""The page of a lineage in a real browser, from a file: by keyboard, by search, beside another state; it asks no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.pipeline.conftest import _finished  # noqa: F401
from tests.pipeline.workspace import Workspace
from tests.services.test_browser import WIDTHS, overflowing, page  # noqa: F401

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]
_UNNAMED = re.compile(r"^\s*- (?:button|link|searchbox|textbox|combobox|checkbox|progressbar)(?! \")", re.MULTILINE)
_SETTING = ("gate.min_safety_rate", "0.25")


@pytest.fixture(scope="module")
def pages(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A folder with the page of a workspace, and with that of it beside its state before a parameter changed."""
    folder = tmp_path_factory.mktemp("pages")
    workspace = _finished.copy(folder / "workspace")
    workspace.run("git", "add", "--all")
    workspace.run("git", "commit", "--quiet", "-m", "what has run")
    workspace.run("git", "tag", "before")
    workspace.ascl("lineage", "page", "--out", str(folder / "one.html"))
    workspace.ascl("run", "--set", "=".join(_SETTING))
    workspace.ascl("lineage", "page", "data/gate/decision.json", "--compare", "before", "--out", str(folder / "two.html"))
    return folder


@pytest.fixture
def quiet(page: Page) -> Iterator[Page]:  # noqa: F811
    """A page that must log nothing and ask for nothing but its own file."""
    said: list[str] = []
    page.set_default_timeout(20_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url != page.url else None)
    yield page
    assert [line for line in said if not (line.startswith("file:") and line.endswith(".html"))] == []


def opened(page: Page, file: Path) -> Page:  # noqa: F811
    """The page of that file."""
    page.goto(file.as_uri())
    return page


def tab_to_a_box(page: Page) -> str:  # noqa: F811
    """Press Tab as often as it takes; the name of the box."""
    for _ in range(12):
        page.keyboard.press("Tab")
        if name := page.evaluate("document.activeElement.dataset.name || ''"):
            return str(name)
    raise AssertionError("Tab reaches no box of the graph")


def test_the_keyboard_alone_reaches_every_box_and_its_record(quiet: Page, pages: Path) -> None:
    opened(quiet, pages / "one.html")
    assert tab_to_a_box(quiet) in ("data/rules", "data/released")
    title = quiet.locator("#record-title")
    quiet.locator('.box[data-name="data/rules"]').focus()
    for key, name in (
        ("ArrowDown", "validate_rules"),
        ("ArrowDown", "index_rules"),
        ("ArrowLeft", "build_suites"),
        ("ArrowDown", "curate"),
        ("ArrowUp", "build_suites"),
    ):
        quiet.keyboard.press(key)
        expect(quiet.locator(f'.box[data-name="{name}"]')).to_be_focused()
    quiet.keyboard.press("Enter")
    expect(title).to_be_focused()
    expect(title).to_have_text("build_suites")
    expect(quiet.get_by_role("table", name="Outputs of build_suites")).to_contain_text("data/suites/suites.parquet")
    quiet.keyboard.press("Escape")
    expect(quiet.locator('.box[data-name="build_suites"]')).to_be_focused()
    for _ in range(quiet.locator(".box").count()):
        if tab_to_a_box(quiet) == "report":
            return
    raise AssertionError("Tab does not go on from box to box, to the last")


def test_a_record_leads_to_those_that_it_was_made_from(quiet: Page, pages: Path) -> None:
    opened(quiet, pages / "one.html")
    quiet.get_by_role("button", name=re.compile("^stage ifpo,")).click()
    for expected in ("ifpo.learning_rate", "data/models/ifpo", "prefect_run"):
        expect(quiet.locator("#record")).to_contain_text(expected)
    quiet.get_by_role("button", name="by sft", exact=True).click()
    expect(quiet.locator("#record-title")).to_have_text("sft")
    quiet.get_by_text("The same graph as a table").click()
    quiet.get_by_role("button", name="gate", exact=True).click()
    expect(quiet.locator("#record-title")).to_have_text("gate")


def test_a_search_finds_a_row_and_a_rule(quiet: Page, pages: Path) -> None:
    opened(quiet, pages / "one.html")
    rows = quiet.locator("#row-found tr")
    quiet.get_by_label("Id, source or text").fill("CHEST pain")
    quiet.keyboard.press("Enter")
    expect(quiet.locator("#row-status")).to_contain_text("looked through")
    expect(rows.first).to_contain_text("chest pain")
    expect(rows.first).to_contain_text("ADV-01")
    row = rows.first.locator("th code").inner_text()
    quiet.get_by_label("Id, source or text").fill(row)
    quiet.get_by_role("button", name="Search rows").click()
    expect(quiet.locator("#row-status")).to_contain_text("looked through")
    assert row in rows.first.inner_text()

    quiet.get_by_label("Id, title or text").fill("lock picking as a hobby")
    quiet.get_by_role("button", name="Search rules").click()
    expect(quiet.locator("#rule-status")).to_have_text("1 found.")
    expect(quiet.locator("#rule-found tr")).to_contain_text("NVC-03")
    quiet.get_by_role("button", name="Show the rows of NVC-03").click()
    expect(quiet.locator("#row-status")).to_contain_text("The first 50")
    quiet.get_by_role("button", name="Show 50 more").first.click()
    expect(rows).to_have_count(100)
    assert all("NVC-03" in text for text in rows.locator("td:nth-child(3)").all_inner_texts())

    quiet.get_by_label("Id, source or text").fill("no row has this")
    quiet.get_by_role("button", name="Search rows").click()
    expect(quiet.locator("#row-status")).to_contain_text("0 rows found; all")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["one", "two"])
def test_nothing_is_clipped_at_any_width_and_a_record_is_open_at_the_start(quiet: Page, pages: Path, name: str, width: int) -> None:
    quiet.set_viewport_size({"width": width, "height": 900})
    opened(quiet, pages / f"{name}.html")
    expect(quiet.locator("#record-title")).to_have_text("gate" if name == "two" else "ifpo")
    expect(quiet.locator("#record details").first).to_be_visible()
    quiet.get_by_text("The same graph as a table").click()
    quiet.get_by_role("button", name="Search rules").click()
    quiet.get_by_role("button", name="Search rows").click()
    expect(quiet.locator("#row-status")).to_contain_text("The first 50 rows found")
    assert overflowing(quiet, "figure, .scroll, .record") == []


def test_the_page_counts_rules_and_not_their_digest(quiet: Page, pages: Path) -> None:
    opened(quiet, pages / "one.html")
    number = quiet.locator(".tile", has_text="Rows").locator(".small").inner_text().split("; ")[1].removesuffix(" rules")
    expect(quiet.locator("#record summary", has_text="Rules")).to_have_text(f"Rules {number}")
    expect(quiet.locator("#rule-status")).to_contain_text(f"{number} rules;")


def test_beside_another_state_what_changed_is_marked_and_named(quiet: Page, pages: Path) -> None:
    opened(quiet, pages / "two.html")
    key, value = _SETTING
    listed = quiet.locator("#differences tr", has_text=key)
    expect(listed).to_contain_text(value)
    expect(listed).to_contain_text("gate")
    expect(quiet.get_by_role("button", name=re.compile("^stage gate,.* other outputs"))).to_be_visible()
    expect(quiet.get_by_role("button", name=re.compile("^stage ifpo,.* same outputs"))).to_be_visible()
    quiet.get_by_role("button", name=re.compile("^stage gate,")).press("Enter")
    changed = quiet.get_by_role("table", name="Parameters of gate").get_by_role("row", name=re.compile(key))
    expect(changed).to_contain_text(value)
    expect(quiet.get_by_role("table", name="Parameters of gate").get_by_role("row")).to_have_count(2)
    quiet.get_by_label("only what differs").uncheck()
    expect(quiet.get_by_role("table", name="Inputs of gate")).to_be_visible()


@pytest.mark.parametrize("name", ["one", "two"])
def test_whatever_can_be_operated_has_a_name(quiet: Page, pages: Path, name: str) -> None:
    opened(quiet, pages / f"{name}.html")
    quiet.get_by_role("button", name=re.compile("^stage ifpo,")).click()
    quiet.get_by_role("button", name="Search rules").click()
    quiet.get_by_role("button", name="Search rows").click()
    expect(quiet.locator("#row-status")).to_contain_text("The first 50")
    tree = quiet.locator("body").aria_snapshot()
    assert "searchbox" in tree
    assert _UNNAMED.findall(tree) == []
    assert quiet.locator("html").get_attribute("lang") == "en"
    assert quiet.evaluate(
        "[...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
    )
    levels = [int(tag[1]) for tag in quiet.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(e => e.tagName)")]
    assert all(after <= before + 1 for before, after in pairwise(levels)), "no level of headings is left out"
