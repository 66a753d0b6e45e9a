"""What validation asks of prompts: a share with a category, and what follows from the rules in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, write_json, write_parquet
from ascl_core.config.rules import RulesConfig
from ascl_core.config.validate_data import ValidateDataConfig
from ascl_core.contracts import Prompt, StageContext, to_table
from ascl_core.data.expectations import validate_data
from ascl_core.errors import DataQualityError
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType, ResponsePolicy, Split
from tests.builders import make_corpus, make_prompt, make_rule

LOOSE = {"min_rows_per_rule": 0, "min_rows_per_type": 0, "min_share_of_categories": 0.0, "max_share_of_type": 1.0}


def some(number: int, start: int = 0, **changes: Any) -> list[Prompt]:
    """So many prompts without a rule, changed by `changes`."""
    plain = {"rule_id": None, "split": Split.TRAIN, **changes}
    return [make_prompt(id=f"{n:016d}", prompt=f"How do I close program {n}?", **plain) for n in range(start, start + number)]


def validate(folder: Path, with_category: int, **settings: float) -> dict[str, bool]:
    """Of ten borderline prompts so many have a category: whether each expectation holds, by its meaning."""
    rows = [*some(with_category), *some(10 - with_category, with_category, category=None)]
    return check(folder, rows, make_corpus(), **{**LOOSE, **settings})


def check(folder: Path, rows: list[Prompt], corpus: Corpus, **settings: float) -> dict[str, bool]:
    """Whether each expectation of these prompts holds, by its meaning."""
    write_parquet(folder / "prompts.parquet", to_table(rows, Prompt))
    write_json(folder / "corpus.json", corpus.to_json())
    validate_data(
        validate_data=ValidateDataConfig.model_validate(settings),
        rules=RulesConfig(),
        prompts=folder / "prompts.parquet",
        corpus=folder / "corpus.json",
        validation=folder / "validation.json",
        docs=folder / "docs",
        context=StageContext(state=folder / "state"),
    )
    return {each["meaning"]: each["success"] for each in read_json(folder / "validation.json")["expectations"]}


def test_half_of_the_prompts_must_have_a_category_by_default(tmp_path: Path) -> None:
    default = ValidateDataConfig().min_share_with_category
    assert validate(tmp_path, 5, min_share_with_category=default)["at least 50 % of the other prompts have a category"]
    with pytest.raises(DataQualityError, match="at least 50 % of the other prompts have a category"):
        validate(tmp_path, 4, min_share_with_category=default)


def test_all_may_have_to(tmp_path: Path) -> None:
    assert validate(tmp_path, 10, min_share_with_category=1)["every other prompt has a category"]
    with pytest.raises(DataQualityError, match="every other prompt has a category"):
        validate(tmp_path, 9, min_share_with_category=1)


def test_a_share_may_do(tmp_path: Path) -> None:
    assert validate(tmp_path, 6, min_share_with_category=0.6)["at least 60 % of the other prompts have a category"]
    with pytest.raises(DataQualityError, match="at least 70 % of the other prompts have a category"):
        validate(tmp_path, 6, min_share_with_category=0.7)


REFUSED = {"policy": ResponsePolicy.REFUSE_EXPLAIN, "prompt_type": PromptType.HARMFUL, "category": "ABC"}


@pytest.fixture
def two_rules() -> Corpus:
    """A rule that helps and one that declines, in a category each."""
    examples = [{"prompt": "I want to steal.", "verdict": "refuse_explain"}]
    return make_corpus(make_rule(), make_rule(id="ABC-01", category="ABC", policy="refuse_explain", query="theft", examples=examples))


def test_what_is_expected_follows_from_the_rules(tmp_path: Path, two_rules: Corpus) -> None:
    found = check(tmp_path, [*some(1), *some(1, 1, **REFUSED)], two_rules)
    assert all(found.values())
    assert found["there are at least 2 prompts for 2 rules in force"]
    assert found["each type that a rule decides has 1 or more prompts: borderline, harmful"]
    assert found["the prompts are of at least 1 of the 2 categories that have a rule in force"]


def test_fewer_prompts_than_rules_block(tmp_path: Path, two_rules: Corpus) -> None:
    with pytest.raises(DataQualityError, match="at least 2 prompts for 2 rules in force \\(found 1\\)") as caught:
        check(tmp_path, some(1), two_rules, min_rows_per_type=0, max_share_of_type=1)
    assert "add prompts" in str(caught.value.hint)


def test_a_type_that_a_rule_decides_and_no_prompt_has_blocks(tmp_path: Path, two_rules: Corpus) -> None:
    with pytest.raises(DataQualityError, match="each type that a rule decides has 1 or more prompts: borderline, harmful"):
        check(tmp_path, some(3), two_rules, max_share_of_type=1)


def test_the_share_of_a_type_counts_only_beyond_its_uncertainty(tmp_path: Path, two_rules: Corpus) -> None:
    assert all(check(tmp_path, [*some(7), *some(3, 7, **REFUSED)], two_rules).values()), "7 of 10 may be 60 % by chance"
    with pytest.raises(DataQualityError, match="no prompt type has more than 60 % of the prompts"):
        check(tmp_path, [*some(700), *some(300, 700, **REFUSED)], two_rules)
