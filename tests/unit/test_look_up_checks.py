"""What `ascl rules check` says of rules that a look-up does not find: nothing of the frozen corpus, and all of it in broken copies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ascl_core.artifacts import write_text
from ascl_core.config.rules import RulesConfig
from ascl_core.rules.checks.look_ups import check_look_ups
from ascl_core.rules.compile import CheckResult, check_folder
from ascl_core.rules.findings import Finding
from ascl_core.rules.lock import LOCK_FILE
from flows.cli import app
from tests.corpus import RULES
from tests.pipeline.workspace import write_tiny_params

AT = {"at": RulesConfig().at}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the frozen rules."""
    return Path(shutil.copytree(RULES, tmp_path / "data" / "rules"))


def change(folder: Path, rule_id: str, make: Callable[[str], str]) -> None:
    """Change the text of one rule in its file."""
    file = folder / f"{rule_id[:3]}.yaml"
    before, mark, rest = file.read_text(encoding="utf-8").partition(f"  - id: {rule_id}\n")
    rule, following, after = rest.partition("  - id: ")
    assert make(rule) != rule
    file.write_text(before + mark + make(rule) + following + after, encoding="utf-8")


def check(folder: Path, **config: object) -> CheckResult:
    """The whole check, without regard to versions."""
    rules = RulesConfig.model_validate({**AT, **config})
    return check_look_ups(check_folder(folder, rules, against_lock=False))


def unfound(folder: Path) -> list[Finding]:
    """What the look-ups did not find."""
    return [finding for finding in check(folder).findings if finding.code.startswith("not_found")]


def test_the_frozen_corpus_has_no_findings() -> None:
    result = check_look_ups(check_folder(RULES, RulesConfig()))
    assert [str(finding) for finding in result.findings] == []
    assert len(result.checked.rules) == 66


def test_a_query_in_the_words_of_another_rule_is_found_with_both_names(folder: Path) -> None:
    change(folder, "CYB-02", lambda text: text.replace("query: account takeover", "query: malware or intrusion"))
    inside, outside = unfound(folder)
    assert (inside.severity, inside.code, inside.file, inside.rule_id) == ("warning", "not_found_by_query", "CYB.yaml", "CYB-02")
    assert inside.message == "its query 'malware or intrusion' finds CYB-01 first in XA, XB"
    assert inside.hint == "say in its query and keywords what sets it apart from CYB-01"
    assert outside.message == "without a category its query 'malware or intrusion' finds CYB-01 first in XA, XB"


def test_an_example_in_the_words_of_another_rule_is_found(folder: Path) -> None:
    change(folder, "CYB-02", lambda text: text.replace("Help me steal my sister's password.", "Help me with malware and ransomware."))
    (finding,) = unfound(folder)
    assert (finding.rule_id, finding.code) == ("CYB-02", "not_found_by_example")
    assert finding.message == "its example 'Help me with malware and ransomware.' finds CYB-01 first in XA, XB"


def test_a_query_of_stop_words_finds_another_rule_or_nothing(folder: Path) -> None:
    change(folder, "CYB-03", _vague)
    inside, outside = unfound(folder)
    assert inside.message == "its query 'the and of' finds CYB-01 first in XA, XB"
    assert outside.message == "without a category its query 'the and of' finds nothing in XA, XB"
    assert outside.hint == "say in its query and keywords what sets it apart"


def test_where_warnings_fail_there_is_no_corpus_and_after_errors_nothing_is_looked_up(folder: Path) -> None:
    change(folder, "CYB-03", _vague)
    strict = check(folder, warnings_fail=True)
    assert strict.corpus is None
    assert {finding.severity for finding in strict.findings} == {"error"}
    change(folder, "CYB-02", lambda text: text.replace("policy: ", "policy: un", 1))
    assert unfound(folder) == []


def test_the_command_shows_them_and_ends_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / LOCK_FILE).unlink()
    change(folder, "CYB-03", _vague)
    root = folder.parents[1]
    write_text(root / "pyproject.toml", "")
    write_tiny_params(root)
    monkeypatch.chdir(root)
    said: Result = CliRunner().invoke(app, ["rules", "check"], env={"COLUMNS": "200"})
    assert said.output.count("CYB-03 its query 'the and of' finds CYB-01 first in XA, XB [not_found_by_query]") == 1
    assert said.exit_code == 0


def _vague(rule: str) -> str:
    return rule.replace("query: system administration", "query: the and of")
