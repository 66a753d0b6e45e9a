"""The report in a real browser, from a file, on screens of every width."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.report_files import make_run, write_report
from tests.services.test_browser import WIDTHS, overflowing, page  # noqa: F401

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with four arms."""
    folder = tmp_path_factory.mktemp("report")
    return write_report(folder, make_run(folder / "run")) / "index.html"


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_clipped_and_the_candidate_is_in_sight_at_any_width(page: Page, report: Path, width: int) -> None:  # noqa: F811
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    assert overflowing(page, "figure, .talk") == []
    right = "[...document.querySelectorAll('.candidate, .candidate .strip')].map(e => e.getBoundingClientRect().right)"
    ends = page.evaluate(right)
    assert ends
    assert max(ends) <= width, "tables scroll sideways, and the candidate is the first of the arms"
