"""Areas of harm: what the check of a taxonomy with areas finds, how rules are counted, and that a taxonomy without them stays as it was."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import read_yaml
from ascl_core.config.rules import RulesConfig
from ascl_core.rules.change import NEW, write_changed_rules
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus, Taxonomy, read_corpus
from ascl_core.rules.diff import ChangeClass, diff_corpora
from tests.builders import make_corpus, make_rule, make_rule_values, make_taxonomy, write_rules

AT = date(2026, 6, 1)
AREAS = {"gambling": "Gambling", "privacy": "Privacy"}


def taxonomy(areas: dict[str, str] | None = None, **of_category: list[str]) -> dict[str, Any]:
    """The usual taxonomy with these areas, and for each category named the areas that it belongs to."""
    values = make_taxonomy(**{name: [f"S{number}" for number in range(1, 15)] for name in of_category or ("CYB",)})
    for name, named in of_category.items():
        values["categories"][name]["areas"] = named
    return {**values, "areas": AREAS if areas is None else areas}


def findings(folder: Path, values: dict[str, Any], **rule: Any) -> list[tuple[str, str, str]]:
    """Severity, code and message of what is found about areas, with one rule in force."""
    write_rules(folder, {"rules.yaml": [make_rule_values(**rule)]}, values)
    found = check_folder(folder, RulesConfig(at=AT)).findings
    return [(finding.severity, finding.code, finding.message) for finding in found if "area" in finding.code]


def test_an_area_without_a_rule_is_a_warning_that_names_it(tmp_path: Path) -> None:
    ((severity, code, message),) = findings(tmp_path, taxonomy(CYB=["privacy"]))
    assert (severity, code) == ("warning", "uncovered_area")
    assert "gambling" in message


def test_areas_that_all_have_a_rule_are_no_finding(tmp_path: Path) -> None:
    assert findings(tmp_path, taxonomy(CYB=["privacy", "gambling"])) == []


def test_an_area_whose_only_rule_is_not_in_force_is_uncovered(tmp_path: Path) -> None:
    codes = [code for _, code, _ in findings(tmp_path, taxonomy(CYB=["privacy", "gambling"]), status="draft")]
    assert codes == ["uncovered_area", "uncovered_area"]


def test_an_area_that_is_not_listed_is_an_error_that_names_category_and_area(tmp_path: Path) -> None:
    ((severity, code, message),) = findings(tmp_path, taxonomy(CYB=["privacy", "gambling", "weather"]))
    assert (severity, code) == ("error", "unknown_area")
    assert "CYB" in message
    assert "weather" in message


def test_a_taxonomy_without_areas_asks_for_none(tmp_path: Path) -> None:
    assert findings(tmp_path, make_taxonomy()) == []


def test_the_title_of_an_area_is_checked_as_every_text_is(tmp_path: Path) -> None:
    write_rules(tmp_path, {"rules.yaml": [make_rule_values()]}, taxonomy({"privacy": "See www.example.org"}, CYB=["privacy"]))
    assert "url" in {finding.code for finding in check_folder(tmp_path, RulesConfig(at=AT)).findings}


def test_rules_in_force_anywhere_count_once_in_each_area_of_their_category() -> None:
    rules = (
        make_rule(id="CYB-01", jurisdictions=["XA", "XB"]),
        make_rule(id="CYB-02", jurisdictions=["XB"]),
        make_rule(id="CYB-03", status="retired"),
        make_rule(id="CYB-04", effective_until="2026-02-01"),
        make_rule(id="PRV-01", category="PRV"),
    )
    values = Taxonomy.model_validate(taxonomy({**AREAS, "copyright": "Copyright"}, CYB=["gambling", "privacy"], PRV=["privacy"]))
    found = Corpus(taxonomy=values, rules=rules).count_by_area(AT)
    assert found == {"gambling": {"CYB": 2}, "privacy": {"CYB": 2, "PRV": 1}, "copyright": {}}


def corpus(**of_category: list[str]) -> Corpus:
    return Corpus(taxonomy=Taxonomy.model_validate(taxonomy(**of_category)), rules=(make_rule(),))


def test_areas_count_in_the_digest_and_are_read_back() -> None:
    with_areas = corpus(CYB=["privacy"])
    assert with_areas.digest not in (corpus(CYB=["gambling"]).digest, make_corpus(make_rule()).digest)
    assert read_corpus(json.loads(json.dumps(with_areas.to_json())), file="corpus.json") == with_areas


def test_a_corpus_without_areas_is_written_as_before_there_were_areas() -> None:
    values = make_corpus(make_rule()).to_json()["taxonomy"]
    assert set(values) == {"categories", "jurisdictions"}
    assert set(values["categories"]["CYB"]) == {"name", "title", "hazards"}


def test_another_area_of_a_category_is_a_change_of_wording() -> None:
    found = diff_corpora(corpus(CYB=["privacy"]), corpus(CYB=["gambling", "privacy"]), AT)
    ((change),) = found.categories
    assert (change.category, change.kind, change.before, change.after) == ("CYB", "reassigned", "privacy", "gambling, privacy")
    assert found.change_class is ChangeClass.WORDING


def test_a_category_that_appears_keeps_the_areas_its_rules_had(tmp_path: Path) -> None:
    rules = [
        make_rule_values(
            id=f"CYB-{number:02}", title=f"Topic {number}", text=f"Help with the topic number {number}.", query=f"topic {number}"
        )
        for number in range(1, 30)
    ]
    write_rules(tmp_path / "rules", {"rules.yaml": rules}, taxonomy(CYB=["privacy"]))
    assert write_changed_rules(tmp_path / "rules", share=0.5).moved
    after = read_yaml(tmp_path / "rules" / "taxonomy.yaml")
    assert after["categories"][NEW]["areas"] == ["privacy"]
    assert after["areas"] == AREAS


@pytest.mark.live
def test_the_command_lists_areas_with_the_number_of_rules_of_each_category(tmp_path: Path) -> None:
    from flows.cli.rules import app

    rules = [
        make_rule_values(),
        make_rule_values(id="PRV-01", category="PRV", title="Data", text="Help people to protect their own data.", query="data"),
    ]
    write_rules(tmp_path, {"rules.yaml": rules}, taxonomy(CYB=["gambling", "privacy"], PRV=["privacy"]))

    def listed(*arguments: str) -> list[str]:
        result = CliRunner().invoke(app, ["list", "--areas", "--folder", str(tmp_path), *arguments])
        assert result.exit_code == 0, result.output
        return [" ".join(line.split()) for line in result.output.splitlines()[1:]]

    assert listed() == ["Gambling CYB 1", "Privacy CYB 1", "Privacy PRV 1"]
    assert listed("--category", "prv") == ["Privacy PRV 1"]
