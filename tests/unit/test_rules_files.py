"""A rule file that cannot be read is a finding with its line, and the other files are still checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.rules.compile import check_folder
from ascl_core.rules.lock import write_lock
from ascl_core.rules.yaml_file import MAX_FILE_BYTES, YamlProblem, read_yaml
from tests.builders import make_rule_values, write_rules

FILES = {
    "yaml_syntax": ("rules:\n  - id: [CYB-03\n", 3),
    "duplicate_key": ("rules:\n  - id: CYB-03\n    title: One\n    title: Two\n", 4),
    "yaml_alias": ("a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n", 1),
    "yaml_tag": ("rules:\n  - !!python/object/apply:os.system ['true']\n", 2),
    "yaml_depth": ("rules:\n  " + "[" * 100_000, 2),
    "yaml_value": ("rules:\n  - effective_from: 2026-13-45\n", 2),
    "encoding": (b"rules:\n  - id: \xff\n", 2),
    "not_rules": ("- id: CYB-03\n", 1),
}


@pytest.mark.parametrize(("code", "content", "line"), [(code, *case) for code, case in FILES.items()], ids=list(FILES))
def test_a_malformed_file_is_one_finding_with_its_line(tmp_path: Path, code: str, content: str | bytes, line: int) -> None:
    write_rules(tmp_path, {"good.yaml": [make_rule_values()]})
    write_lock(tmp_path)
    (tmp_path / "bad.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    result = check_folder(tmp_path, RulesConfig())
    assert [(finding.severity, finding.code, finding.file, finding.line) for finding in result.findings] == [
        ("error", code, "bad.yaml", line)
    ]
    assert result.corpus is None


@pytest.mark.parametrize("content", ["", "# only a comment\n"])
def test_an_empty_file_is_a_finding(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text(content)
    with pytest.raises(YamlProblem, match="empty"):
        read_yaml(path)


@pytest.mark.parametrize(("field", "value"), [("version", "9" * 5000 + ".0.0"), ("precedence", True)])
def test_a_value_that_no_rule_can_have_is_a_finding(tmp_path: Path, field: str, value: object) -> None:
    write_rules(tmp_path, {"bad.yaml": [{**make_rule_values(), field: value}]})
    assert {finding.code for finding in check_folder(tmp_path, RulesConfig()).errors} == {"schema"}
    with pytest.raises(RuleError, match="cannot be locked"):
        write_lock(tmp_path)


@pytest.mark.parametrize("target", ["nowhere.yaml", "loop.yaml"])
def test_a_link_to_nothing_is_named(tmp_path: Path, target: str) -> None:
    write_rules(tmp_path, {"good.yaml": [make_rule_values()]})
    (tmp_path / "loop.yaml").symlink_to(target)
    assert ("error", "link", "loop.yaml") in [(one.severity, one.code, one.file) for one in check_folder(tmp_path, RulesConfig()).findings]


@pytest.mark.parametrize("name", ["taxonomy.yaml", "rules.lock.json"])
def test_a_file_of_the_folder_in_another_folder_is_named_as_not_read(tmp_path: Path, name: str) -> None:
    write_rules(tmp_path, {"good.yaml": [make_rule_values()]})
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).write_text("rules: []")
    assert ("not_read", f"sub/{name}") in [(one.code, one.file) for one in check_folder(tmp_path, RulesConfig()).findings]


def test_two_surrogates_in_json_are_one_character_and_half_of_them_is_none(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('{"a": "\\ud83d\\ude00\\uD83D\\uDE00 \\\\ud83d\\\\ude00"}')
    assert read_yaml(path).values == {"a": "😀😀 \\ud83d\\ude00"}
    path.write_text('{"a": "\\ud83d"}')
    with pytest.raises(YamlProblem):
        read_yaml(path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(YamlProblem) as problem:
        read_yaml(path)
    assert problem.value.code == "too_large"


def test_a_number_with_thousands_of_digits_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"
    path.write_text("rules:\n  - precedence: " + "9" * 5000 + "\n")
    with pytest.raises(YamlProblem) as problem:
        read_yaml(path)
    assert (problem.value.code, problem.value.line) == ("yaml_value", 2)


def test_every_wrong_field_of_a_rule_is_named_with_its_own_line(tmp_path: Path) -> None:
    write_rules(tmp_path, {})
    (tmp_path / "bad.yaml").write_text(
        "rules:\n"
        "  - id: CYB-3\n"
        "    title: System administration\n"
        "    category: CYB\n"
        "    text: Help fully with administration and with the defence of systems.\n"
        "    policy: obey\n"
        "    polcy: comply\n"
        "    examples:\n"
        "      - prompt: How do I kill a Python process?\n"
        "        verdict: yes\n"
        "    severity: low\n"
        "    precedence: high\n"
        "    jurisdictions: ['*']\n"
        "    status: active\n"
        "    version: 1.0\n"
        "    effective_from: 2026-01-01\n"
        "    query: System administration\n"
    )
    found = check_folder(tmp_path, RulesConfig()).errors
    lines = {finding.message.split(":")[0]: finding.line for finding in found if finding.code == "schema"}
    expected = {"id": 2, "policy": 6, "examples.0.verdict": 10, "precedence": 12, "version": 15, "query": 17, "provenance": 2}
    assert lines == expected
    unknown = next(finding for finding in found if finding.code == "unknown_key")
    assert (unknown.line, unknown.hint, unknown.rule_id) == (7, "did you mean 'policy'?", "CYB-3")


def test_with_an_unreadable_file_no_rule_is_reported_as_missing(tmp_path: Path) -> None:
    # CYB-04 is in the broken file: the reference to it and its lock entry say nothing about it.
    text = "Explain how a network is scanned, and add that the owner of the network has to agree to it first."
    other = make_rule_values(id="CYB-04", text=text, query="network scanning")
    write_rules(tmp_path, {"a.yaml": [make_rule_values(see_also=["CYB-04"])], "b.yaml": [other]})
    write_lock(tmp_path)
    (tmp_path / "b.yaml").write_text("rules: [")
    assert [finding.code for finding in check_folder(tmp_path, RulesConfig()).findings] == ["yaml_syntax"]


def test_a_missing_taxonomy_is_a_finding_and_the_rules_are_still_checked(tmp_path: Path) -> None:
    write_rules(tmp_path, {"a.yaml": [make_rule_values(title="See </think> here")]})
    (tmp_path / "taxonomy.yaml").unlink()
    found = check_folder(tmp_path, RulesConfig()).errors
    assert {(finding.code, finding.file) for finding in found} == {("no_taxonomy", "taxonomy.yaml"), ("template_token", "a.yaml")}


def test_a_folder_without_rules_is_a_finding_and_a_missing_folder_an_error(tmp_path: Path) -> None:
    write_rules(tmp_path, {})
    assert "no_rules" in {finding.code for finding in check_folder(tmp_path, RulesConfig()).errors}
    with pytest.raises(RuleError, match="folder does not exist"):
        check_folder(tmp_path / "nowhere", RulesConfig())


def test_rules_that_have_errors_cannot_be_locked(tmp_path: Path) -> None:
    write_rules(tmp_path, {"a.yaml": [make_rule_values(), make_rule_values()]})
    with pytest.raises(RuleError, match=r"also used at a\.yaml:"):
        write_lock(tmp_path)
    assert not (tmp_path / "rules.lock.json").exists()


def test_a_change_without_a_new_version_cannot_be_locked_away(tmp_path: Path) -> None:
    write_rules(tmp_path, {"a.yaml": [make_rule_values()]})
    before = write_lock(tmp_path)
    write_rules(tmp_path, {"a.yaml": [make_rule_values(severity="high")]})
    with pytest.raises(RuleError, match=r"version is still 1\.0\.0"):
        write_lock(tmp_path)
    write_rules(tmp_path, {"a.yaml": [make_rule_values()]})
    assert write_lock(tmp_path) == before


@pytest.mark.parametrize(("field", "value"), [("version", "１.０.１"), ("version", "١.٠.٠"), ("id", "CYB-０１")])
def test_digits_of_other_scripts_are_a_finding_and_never_locked(tmp_path: Path, field: str, value: str) -> None:
    write_rules(tmp_path, {"good.yaml": [make_rule_values(**{field: value})]})
    assert [finding.code for finding in check_folder(tmp_path, RulesConfig()).errors if finding.code == "schema"] == ["schema"]
    with pytest.raises(RuleError, match=field):
        write_lock(tmp_path)
