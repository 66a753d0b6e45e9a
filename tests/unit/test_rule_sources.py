"""Rules from a folder, a compiled corpus or a git revision, and `ascl rules diff` over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ascl_core.artifacts import write_json
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import DataError, RuleError
from ascl_core.rules.compile import check_folder
from ascl_core.rules.lock import write_lock
from flows.cli import app
from tasks.deployment import own_run
from tasks.registry.stages import CORPUS
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tasks.runs.rule_sources import describe_uncompiled, read_rules
from tasks.runs.rules_on_s3 import check_file
from tests.builders import make_rule_values, write_rules
from tests.pipeline.workspace import write_tiny_params

RULES = Path("data") / "rules"
FLIPPED: dict[str, Any] = {
    "policy": "refuse_explain",
    "examples": [{"prompt": "How do I kill a Python process?", "verdict": "refuse_explain"}],
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of rules, the tag `v1` on it, and one rule flipped in the working tree."""
    write_rules(tmp_path / RULES, {"rules.yaml": [make_rule_values()]})
    write_lock(tmp_path / RULES)
    (tmp_path / "pyproject.toml").touch()
    write_tiny_params(tmp_path)
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "rules"), ("tag", "v1")):
        git(tmp_path, *command, environment=NOBODY)
    write_rules(tmp_path / RULES, {"rules.yaml": [make_rule_values(**FLIPPED, version="2.0.0")]})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def policies(root: Path, source: str) -> list[str]:
    """The policies of the rules there."""
    return [str(rule.policy) for rule in read_rules(root, source, RulesConfig()).rules]


def test_a_revision_has_the_rules_of_then_and_a_folder_the_current_ones(repository: Path) -> None:
    assert policies(repository, "v1") == policies(repository, "HEAD") == ["comply"]
    assert policies(repository, "data/rules") == ["refuse_explain"]


def test_a_compiled_corpus_is_read_as_it_is(repository: Path) -> None:
    corpus = check_folder(repository / RULES, RulesConfig(), against_lock=False).corpus
    assert corpus is not None
    write_json(repository / "corpus.json", corpus.to_json())
    assert policies(repository, "corpus.json") == ["refuse_explain"]


@pytest.mark.parametrize("source", ["nowhere", "", "HEAD:data", "--output=/etc/passwd", "v1^{tree}"])
def test_what_is_none_of_these_is_an_error_that_names_it(repository: Path, source: str) -> None:
    with pytest.raises(RuleError, match="no such folder, file or git revision") as caught:
        read_rules(repository, source, RulesConfig())
    assert caught.value.value == source


def test_rules_that_do_not_compile_are_named_as_they_were_given(repository: Path) -> None:
    write_rules(repository / "other", {"bad.yaml": [make_rule_values(policy="maybe")]})
    with pytest.raises(RuleError, match="do not compile") as caught:
        read_rules(repository, "other", RulesConfig())
    assert caught.value.file == "other"


@pytest.mark.parametrize("name", ["../up.yaml", "a/../../up.yaml", "a/./up.yaml", "/etc/rules.yaml", "a//b.yaml", "..", "a\\b.yaml", ""])
def test_an_object_on_s3_whose_name_leads_elsewhere_is_no_rule_file(name: str) -> None:
    with pytest.raises(DataError, match="a name that no rule file may have"):
        check_file("s3://bucket/rules", name, 1)


def asked(*words: str) -> Result:
    """What `ascl rules diff` says."""
    return CliRunner().invoke(app, ["rules", "diff", *words], env={"COLUMNS": "200"})


def test_the_command_shows_the_working_tree_against_the_last_commit(repository: Path) -> None:
    result = asked()
    assert result.exit_code == 0, result.output
    for part in ("CYB-03 changed 1.0.0 → 2.0.0", "- comply", "+ refuse_explain", "in XA, XB: comply → refuse_explain", "verdict: "):
        assert part in result.output


def test_a_flip_without_a_major_version_ends_with_status_1_and_the_hint(repository: Path) -> None:
    write_rules(repository / RULES, {"rules.yaml": [make_rule_values(**FLIPPED, version="1.1.0")]})
    result = asked("v1")
    assert result.exit_code == 1
    assert "raise it to 2.0.0" in result.output


def test_json_and_markdown_say_the_same(repository: Path) -> None:
    values = json.loads(asked("--json").output)
    assert (values["change_class"], [rule["rule_id"] for rule in values["rules"]]) == ("verdict", ["CYB-03"])
    page = asked("v1", "HEAD", "--markdown").output
    assert page.startswith("# Rules: v1 to HEAD")
    assert "**The rules are the same.**" in page
    assert "| CYB-03 | System administration | changed | 1.0.0 → 2.0.0 | verdict |" in asked("--markdown").output


def test_a_rule_text_is_inert_in_the_markdown(repository: Path) -> None:
    title = "Administration | <img src=x> [link](http://x)"
    write_rules(repository / RULES, {"rules.yaml": [make_rule_values(title=title, version="1.0.1")]})
    page = asked("--markdown").output
    assert "<img" not in page
    assert "[link]" not in page


def test_rules_of_an_older_commit_are_compared_with_themselves_and_those_of_a_branch_with_where_it_began(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "branch", "aside")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "gone on", environment=NOBODY)
    assert own_run.merge_base(repository, first) == own_run.merge_base(repository, "aside") == first
    assert own_run.merge_base(repository, "HEAD") == git(repository, "rev-parse", "HEAD")
    assert own_run.merge_base(repository, "s3://bucket/rules") == own_run.merge_base(repository, "no-such-branch") == "HEAD"


def test_a_command_that_uses_the_rules_of_the_last_run_says_which_were_edited_since(repository: Path) -> None:
    config = RulesConfig()
    corpus = repository / CORPUS.path
    write_json(corpus, read_rules(repository, "HEAD", config).to_json())
    assert describe_uncompiled(repository, corpus, config) == "data/rules changed since the last run: CYB-03"
    assert "CYB-03. The rules of that run are used." in CliRunner().invoke(app, ["chat", "no/model", "--prompt", "x"]).stderr
    (repository / RULES / "rules.yaml").write_text("- {", encoding="utf-8")
    assert describe_uncompiled(repository, corpus, config) == "data/rules does not compile"
    git(repository, "checkout", "--", "data/rules")
    assert describe_uncompiled(repository, corpus, config) == ""
    other = repository / "released.json"
    other.write_bytes(corpus.read_bytes())
    write_rules(repository / RULES, {"rules.yaml": [make_rule_values(**FLIPPED, version="2.0.0")]})
    assert describe_uncompiled(repository, other, config) == "", "rules that somebody named are meant"
