"""Why answers changed: each is traced to the rules, to the weights, or to both, from the answers to the same prompts in four cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl_core.config.evaluate import EvaluateConfig, KindSampling, SamplingConfig
from ascl_core.contracts import EvaluatedRollout
from ascl_core.evaluation.causes import Cause, Cell, Rows, cause_of, find_causes, greedy
from ascl_core.vocabulary import PromptType, Refusal
from tests.builders import make_result

NONE, FULL, UNKNOWN = Refusal.NONE, Refusal.FULL, Refusal.UNKNOWN


def cells(*answers: tuple[EvaluatedRollout, EvaluatedRollout, EvaluatedRollout, EvaluatedRollout]) -> Rows:
    """The answers to each prompt in the order of the cells."""
    return {cell: [four[i] for four in answers] for i, cell in enumerate(Cell)}


def four(prompt_id: str, *refusals: Refusal, **values: Any) -> Any:
    return tuple(make_result(prompt_id=prompt_id, answer=str(refusal), refusal=refusal, **values) for refusal in refusals)


@pytest.mark.parametrize(
    ("refusals", "cause"),
    [
        ((NONE, FULL, NONE, FULL), Cause.RULES),
        ((NONE, NONE, FULL, FULL), Cause.WEIGHTS),
        ((NONE, NONE, NONE, FULL), Cause.BOTH),
        ((NONE, FULL, FULL, FULL), Cause.EITHER),
        ((NONE, Refusal.PARTIAL, NONE, FULL), Cause.BOTH),
        ((NONE, FULL, Refusal.PARTIAL, FULL), Cause.RULES),
        ((FULL, NONE, NONE, FULL), None),
    ],
)
def test_an_answer_has_the_cause_that_alone_brings_it(refusals: tuple[Refusal, ...], cause: Cause | None) -> None:
    found = find_causes(cells(four("a", *refusals)))
    assert found["changed"] == (cause is not None)
    assert found["causes"] == {one: int(one is cause) for one in Cause}


@given(st.lists(st.sampled_from(["none", "partial", "full"]), min_size=4, max_size=4))
def test_whoever_swaps_rules_and_weights_swaps_the_causes(outcomes: list[str]) -> None:
    old, by_rules, by_weights, new = outcomes
    other = {Cause.RULES: Cause.WEIGHTS, Cause.WEIGHTS: Cause.RULES}
    found, swapped = cause_of(old, by_rules, by_weights, new), cause_of(old, by_weights, by_rules, new)
    assert swapped == (found and other.get(found, found))
    assert (found is None) == (old == new)


def test_other_words_are_no_change_and_an_answer_without_a_verdict_has_no_cause() -> None:
    same = tuple(replace(row, answer=f"Yes, {i}.") for i, row in enumerate(four("a", NONE, NONE, NONE, NONE)))
    found = find_causes(cells(same, four("b", NONE, UNKNOWN, NONE, FULL)))  # type: ignore[arg-type]
    assert (found["prompts"], found["changed"], found["not_judged"]) == (2, 0, 1)


def test_malformed_answers_and_right_ones_are_outcomes() -> None:
    solved = [make_result(prompt_id="a", prompt_type=PromptType.UTILITY, correct=right) for right in (True, True, False, False)]
    broken = [make_result(prompt_id="b", valid=valid, refusal=FULL if valid else UNKNOWN) for valid in (True, False, True, False)]
    found = find_causes(cells(tuple(solved), tuple(broken)))  # type: ignore[arg-type]
    assert found["causes"] == {Cause.RULES: 1, Cause.WEIGHTS: 1, Cause.BOTH: 0, Cause.EITHER: 0}
    outcomes = [example["answers"][Cell.NEW]["outcome"] for row in found["rules"] for example in row["examples"]]
    assert sorted(outcomes) == ["malformed", "wrong"]


def test_prompts_that_one_evaluation_lacks_are_left_out() -> None:
    rows = cells(four("a", NONE, NONE, NONE, FULL), four("b", NONE, NONE, NONE, FULL))
    assert find_causes({**rows, Cell.OLD: rows[Cell.OLD][:1]})["prompts"] == 1


def test_changes_are_counted_for_the_rule_that_decides_or_else_for_what_one_side_was_shown() -> None:
    decided = four("a", NONE, FULL, NONE, FULL, rule_id="CYB-01", consulted=("NVC-03",))
    shown = [
        replace(row, consulted=read)
        for row, read in zip(four("b", NONE, NONE, FULL, FULL, rule_id=None), ((), (), (), ("FRD-02",)), strict=True)
    ]
    unexplained = four("c", NONE, NONE, NONE, FULL, rule_id=None, consulted=())
    rows = {row["rule"]: row for row in find_causes(cells(decided, tuple(shown), unexplained))["rules"]}  # type: ignore[arg-type]
    assert {rule: [cause for cause, number in row["causes"].items() if number] for rule, row in rows.items()} == {
        "CYB-01": [Cause.RULES],
        "FRD-02": [Cause.WEIGHTS],
        None: [Cause.BOTH],
    }
    [example] = rows["CYB-01"]["examples"]
    assert example["cause"] == "rules"
    assert {cell: answer["outcome"] for cell, answer in example["answers"].items()} == {
        Cell.OLD: "no refusal",
        Cell.RULES: "full refusal",
        Cell.WEIGHTS: "no refusal",
        Cell.NEW: "full refusal",
    }


def test_the_evaluations_are_greedy_whatever_the_parameters_say() -> None:
    hot = EvaluateConfig(temperature=0.7, samples=4, sampling=SamplingConfig(safety=KindSampling(temperature=1.0, samples=8)))
    cold = greedy(hot)
    assert (cold.temperature, cold.samples, cold.sampling) == (0.0, 1, SamplingConfig())
    assert cold.judge == hot.judge
