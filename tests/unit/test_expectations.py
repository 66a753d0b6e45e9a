"""What validation asks of the share of prompts that have a rule category."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, write_json, write_parquet
from ascl_core.config.validate_data import ValidateDataConfig
from ascl_core.contracts import Prompt, StageContext, to_table
from ascl_core.data.expectations import validate_data
from ascl_core.errors import DataQualityError
from ascl_core.vocabulary import Split
from tests.builders import make_corpus, make_prompt

LOOSE = {"min_rows": 1, "min_rows_per_type": 0, "min_share_of_categories": 0.0, "max_share_of_type": 1.0}


def validate(folder: Path, with_category: int, **settings: float) -> dict[str, bool]:
    """Of ten borderline prompts so many have a category: whether each expectation holds, by its meaning."""
    rows = [
        make_prompt(
            id=f"{n:016d}",
            prompt=f"How do I close program {n}?",
            category="CYB" if n < with_category else None,
            rule_id=None,
            split=Split.TRAIN,
        )
        for n in range(10)
    ]
    write_parquet(folder / "prompts.parquet", to_table(rows, Prompt))
    write_json(folder / "corpus.json", make_corpus().to_json())
    validate_data(
        validate_data=ValidateDataConfig.model_validate({**LOOSE, **settings}),
        prompts=folder / "prompts.parquet",
        corpus=folder / "corpus.json",
        validation=folder / "validation.json",
        docs=folder / "docs",
        context=StageContext(state=folder / "state"),
    )
    return {each["meaning"]: each["success"] for each in read_json(folder / "validation.json")["expectations"]}


def test_every_prompt_must_have_a_category_by_default(tmp_path: Path) -> None:
    assert validate(tmp_path, 10)["every other prompt has a category"]
    with pytest.raises(DataQualityError, match="every other prompt has a category"):
        validate(tmp_path, 9)


def test_a_share_may_do(tmp_path: Path) -> None:
    assert validate(tmp_path, 6, min_share_with_category=0.6)["at least 60% of the other prompts have a category"]
    with pytest.raises(DataQualityError, match="at least 70% of the other prompts have a category"):
        validate(tmp_path, 6, min_share_with_category=0.7)
