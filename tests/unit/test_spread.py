"""Prompts spread over their categories: as even as they allow, seeded, in their order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ascl_core.contracts import Prompt
from ascl_core.sft.selection import spread
from ascl_core.vocabulary import PromptType
from tests.builders import make_prompt
from tests.unit.test_templated_teacher import kept

SIZES = {"CYB": 30, "PRV": 5, "WEP": 2, None: 20}
PROMPTS = [make_prompt(id=f"{n:02x}{i:014x}", category=category) for n, (category, size) in enumerate(SIZES.items()) for i in range(size)]


def by_category(prompts: list[Prompt]) -> Counter[str | None]:
    """How many prompts each category has."""
    return Counter(prompt.category for prompt in prompts)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(8, [2, 2, 2, 2]), (4, [1, 1, 1, 1]), (12, [2, 3, 3, 4]), (57, [2, 5, 20, 30]), (100, [2, 5, 20, 30]), (2, [1, 1])],
)
def test_every_category_gets_the_same_as_long_as_it_lasts(limit: int, expected: list[int]) -> None:
    counted = by_category(spread(PROMPTS, limit, seed=0))
    assert len(counted) == len(expected)
    if limit == 12:  # two of WEP, and ten over three categories: 3, 3 and 4
        assert counted["WEP"] == 2
    assert sorted(counted.values()) == expected


def test_the_choice_is_seeded_and_in_order_whatever_the_order() -> None:
    chosen = spread(PROMPTS, 20, seed=0)
    assert chosen == [prompt for prompt in PROMPTS if prompt in chosen]
    assert {prompt.id for prompt in spread(PROMPTS[::-1], 20, seed=0)} == {prompt.id for prompt in chosen}
    assert {prompt.id for prompt in spread(PROMPTS, 20, seed=1)} != {prompt.id for prompt in chosen}


def test_the_builder_limits_a_type_and_leaves_the_others(tmp_path: Path) -> None:
    prompts = [make_prompt(id=f"{i:016x}", prompt=f"How do I restart server {i}?") for i in range(20)]
    answers = {"prompt_type": PromptType.UTILITY, "category": None, "rule_id": None, "answer": "4", "answer_kind": "number"}
    sums = [make_prompt(id=f"f{i:015x}", prompt=f"What is 2 + 2, pupil {i}?", **answers) for i in range(5)]
    rows, _ = kept(tmp_path, prompts + sums, max_prompts={"borderline": 7})
    assert Counter(row["prompt_type"] for row in rows) == {"borderline": 7, "utility": 5}
