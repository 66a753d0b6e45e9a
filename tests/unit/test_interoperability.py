"""The command that tries this project's products with tools of others: its rows, and the page that it writes."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module; like a script, it finds its checks beside itself."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("interoperability")


def test_every_check_names_its_tool_and_what_is_tried(command: Any) -> None:
    assert "evidence" in command.GROUPS
    page = (ROOT / "docs/interoperability.md").read_text(encoding="utf-8")
    for group in command.GROUPS:
        assert f"<!-- {group} -->" in page
        checks = command.checks_of(group).of
        assert checks, "a group without checks"
        assert all(f"| {check.tool} | {check.tried} |" in re.sub(r"\| [\d.]+ \|", "|", page) for check in checks.values()), "--write"


def test_a_check_that_raises_is_a_failed_row_and_not_the_end(command: Any) -> None:
    checks = type(command.checks_of("evidence"))()

    @checks.add("pytest", tried="something")
    def works(given: str) -> str:
        return f"read {given}"

    @checks.add("no-such-tool", tried="something")
    def fails(given: str) -> str:
        raise ValueError(f"no {given}")

    assert command.inside(checks.of["works"], "it") == {"version": pytest.__version__, "result": "read it"}
    assert command.inside(checks.of["fails"], "it") == {"version": "", "failed": "ValueError: no it"}


def test_a_check_runs_in_a_process_of_its_own(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = command.checks_of("evidence").of
    monkeypatch.setitem(checks, "bill", replace(checks["bill"], requirements=()))  # in this environment, not in one from the index
    line, passed = command.row("evidence", "bill", str(tmp_path))
    assert not passed
    assert "**failed**: FileNotFoundError: " in line
    assert "sbom.cdx.json" in line
    assert line.count("|") == 5


@pytest.mark.parametrize(
    ("metadata", "lacks"), [("tags: [ascl]", "licence"), ("license: mit", "tags"), ("license: mit\ntags: [ascl]", "figures")]
)
def test_a_card_that_lacks_what_the_row_says_fails(command: Any, tmp_path: Path, metadata: str, lacks: str) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/model_card.md").write_text(f"---\n{metadata}\n---\n# A model\n", encoding="utf-8")
    found = command.inside(command.checks_of("evidence").of["cards"], str(tmp_path))
    assert found["failed"].startswith("AssertionError")
    assert lacks in found["failed"]


def test_a_bill_without_the_card_of_the_model_fails(command: Any, tmp_path: Path) -> None:
    model, library = Component(name="model", type=ComponentType.MACHINE_LEARNING_MODEL), Component(name="library")
    bill = Bom(metadata=BomMetaData(component=model), components=[library])
    bill.register_dependency(model, [library])
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/sbom.cdx.json").write_text(JsonV1Dot6(bill).output_as_string(), encoding="utf-8")
    found = command.inside(command.checks_of("evidence").of["bill"], str(tmp_path))
    assert found["failed"] == "AssertionError: the model has no card"


def test_the_rows_replace_those_of_the_group_alone(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", tmp_path / "page.md")
    command.PAGE.write_text("a\n<!-- one -->\nold\n<!-- /one -->\nb\n<!-- two -->\nkept\n<!-- /two -->\n")
    command.write("one", ["| \\1 | 2 | 3 | 4 |"])
    assert command.PAGE.read_text() == (
        "a\n<!-- one -->\n| tool | version | tried | result |\n|---|---|---|---|\n| \\1 | 2 | 3 | 4 |\n<!-- /one -->\nb\n"
        "<!-- two -->\nkept\n<!-- /two -->\n"
    )
    with pytest.raises(AssertionError, match="three"):
        command.write("three", [])
