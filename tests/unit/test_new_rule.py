"""`ascl rules new`: a rule is valid at once, nothing else changes, and an id is never used twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.rules.checks.look_ups import check_look_ups
from ascl_core.rules.compile import check_folder
from ascl_core.rules.lock import write_lock
from ascl_core.rules.new import write_new_rule
from ascl_core.vocabulary import ResponsePolicy
from flows.cli import app
from tasks.host.written_check import written_checks

AT = RulesConfig().at
SUBJECTS = ("Opening locks", "Doses of medicine", "GDPR and data leaks", "Other people's accounts", "Playing with fire")


def test_a_rule_of_every_policy_is_in_order(tmp_path: Path) -> None:
    for number, (policy, title) in enumerate(zip(ResponsePolicy, SUBJECTS, strict=True), start=1):
        write_new_rule(tmp_path, f"ABC-{number:02}", title, policy, AT)
    write_lock(tmp_path)
    result = check_look_ups(check_folder(tmp_path, RulesConfig()))
    assert {finding.code for finding in result.findings} == {"uncovered_hazard"}
    assert result.corpus is not None
    assert len(result.corpus.active(AT, "XA")) == len(ResponsePolicy)


def test_the_taxonomy_keeps_its_comments_and_gets_the_category_once(tmp_path: Path) -> None:
    text = "# ours\ncategories:\n  ABC: {name: abc, title: Letters, hazards: [S1]}  # first\njurisdictions:\n  XQ: Here\n"
    (tmp_path / "taxonomy.yaml").write_text(text)
    first = write_new_rule(tmp_path, "XYZ-01", "Opening locks", ResponsePolicy.COMPLY, AT)
    assert [path.name for path in first] == ["XYZ-01.yaml", "taxonomy.yaml"]
    written = (tmp_path / "taxonomy.yaml").read_text()
    assert all(line in written for line in text.splitlines())
    assert [path.name for path in write_new_rule(tmp_path, "XYZ-02", "Doses", ResponsePolicy.COMPLY, AT)] == ["XYZ-02.yaml"]
    assert (tmp_path / "taxonomy.yaml").read_text() == written


def test_its_examples_are_those_that_are_given(tmp_path: Path) -> None:
    write_new_rule(tmp_path, "ABC-01", "Opening locks", ResponsePolicy.REFUSE_EXPLAIN, AT, ["How?", "Why: not?"], "Ada")
    corpus = check_folder(tmp_path, RulesConfig()).corpus
    assert corpus is not None
    assert corpus.rules[0].own_examples == ("How?", "Why: not?")
    assert corpus.rules[0].provenance.author == "Ada"


@pytest.mark.parametrize("name", ["in a file", "in the lock", "an unreadable file"])
def test_an_id_is_never_used_again(tmp_path: Path, name: str) -> None:
    (path, *_) = write_new_rule(tmp_path, "ABC-07", "Opening locks", ResponsePolicy.COMPLY, AT)
    if name == "in the lock":
        write_lock(tmp_path)
        path.unlink()
    if name == "an unreadable file":
        path.write_text("rules: [")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(RuleError, match="the id is taken") as caught:
        write_new_rule(tmp_path, "ABC-07", "Other things", ResponsePolicy.COMPLY, AT)
    assert caught.value.hint == "take the next one: ABC-08"
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("rule_id", "title", "field"), [("abc-1", "Opening locks", "ID"), ("../ABC-01", "Opening locks", "ID"), ("ABC-01", "x", "TITLE")]
)
def test_a_bad_id_or_title_writes_nothing(tmp_path: Path, rule_id: str, title: str, field: str) -> None:
    with pytest.raises(RuleError) as caught:
        write_new_rule(tmp_path, rule_id, title, ResponsePolicy.COMPLY, AT)
    assert caught.value.field == field
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["categories: [", "jurisdictions: {XA: Here}\n", "a: &a 1\n"])
def test_a_taxonomy_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "taxonomy.yaml").write_text(text)
    with pytest.raises(RuleError) as caught:
        write_new_rule(tmp_path, "ABC-01", "Opening locks", ResponsePolicy.COMPLY, AT)
    assert caught.value.file == str(tmp_path / "taxonomy.yaml")
    assert [file.name for file in tmp_path.iterdir()] == ["taxonomy.yaml"]


def test_without_a_taxonomy_the_check_says_how_to_get_one(tmp_path: Path) -> None:
    write_new_rule(tmp_path, "ABC-01", "Opening locks", ResponsePolicy.COMPLY, AT)
    (tmp_path / "taxonomy.yaml").unlink()
    (finding,) = check_folder(tmp_path, RulesConfig()).errors
    assert (finding.code, finding.file) == ("no_taxonomy", "taxonomy.yaml")
    assert "ascl rules new" in finding.hint


def test_many_removed_rules_are_one_warning(tmp_path: Path) -> None:
    for number in range(1, 9):
        write_new_rule(tmp_path, f"ABC-{number:02}", f"Subject {number * 'x'}", ResponsePolicy.COMPLY, AT)
    write_lock(tmp_path)
    for number in range(1, 8):
        (tmp_path / f"ABC-{number:02}.yaml").unlink()
    found = [finding for finding in check_folder(tmp_path, RulesConfig()).findings if finding.code == "removed_rule"]
    assert [finding.message for finding in found] == [
        "ABC-01, ABC-02, ABC-03, ABC-04, ABC-05 and 2 more rules are in the lock and no longer in the corpus"
    ]


def test_in_a_clone_without_our_rules_and_prompts_the_first_rule_makes_both_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("pyproject.toml", ""), ("params.yaml", ""), ("dvc.yaml", "cmd: exec sh tasks/stage.sh sft\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert [(check.name, check.level) for check in written_checks(tmp_path)] == [("data/rules", "error"), ("data/raw", "error")]
    made = CliRunner().invoke(app, ["rules", "new", "KEY-01", "Copying keys"])
    assert "wrote data/rules/KEY-01.yaml and data/rules/taxonomy.yaml and data/raw/prompts.csv\n" in made.output
    prompts = tmp_path / "data/raw/prompts.csv"
    assert prompts.read_text() == "prompt,prompt_type,rule_id\n"
    (check,) = written_checks(tmp_path)
    assert (check.level, check.found) == ("error", f"{prompts}: has no prompts")
    prompts.write_text("prompt,prompt_type,rule_id\nMay I copy a key?,harmful,KEY-01\n")
    assert "and data/raw" not in CliRunner().invoke(app, ["rules", "new", "SAD-01", "Feeling alone"]).output
    assert "May I copy" in prompts.read_text(), "which stays as it is"
    (check,) = written_checks(tmp_path)
    assert check.level == "ok"


def test_prompts_about_a_rule_that_is_gone_are_found_before_a_run(tmp_path: Path) -> None:
    rules, raw = tmp_path / "data/rules", tmp_path / "data/raw"
    write_new_rule(rules, "SAD-01", "Feeling alone", ResponsePolicy.COMPLY, AT)
    raw.mkdir()
    (raw / "prompts.csv").write_text("prompt,rule_id\nA,SAD-01\nB,\nC,ACC-01\nD,LCK-01\nE,ACC-01\n")
    (check,) = written_checks(tmp_path)
    assert (check.level, check.found) == ("error", "no such rule: ACC-01, LCK-01, in data/raw/prompts.csv: row 3")
    assert check.hint == "write ACC-01, or drop the prompts about it", "SAD-01 is another rule, and no slip"
    (raw / "prompts.csv").write_text("prompt,rule_id\nA,SAD-10\n")
    assert [check.hint for check in written_checks(tmp_path)] == ["did you mean 'SAD-01'?"]
    (raw / "prompts.csv").unlink()
    (raw / "safety.yaml").write_text(
        "licence: MIT\nper_seed: 1\nframes: {how: ['{x}?']}\nseeds:\n  - {rule: ACC-01, frames: [how], actions: [a], objects: [b]}\n"
    )
    assert "ACC-01, in data/raw/safety.yaml: seeds[0]" in next(iter(written_checks(tmp_path))).found
    (raw / "safety.yaml").write_text("seeds: [\n")
    assert next(iter(written_checks(tmp_path))).level == "error"
    (rules / "SAD-01.yaml").write_text("rules: [")
    assert list(written_checks(tmp_path)) == [], "validate_rules names file and line"
